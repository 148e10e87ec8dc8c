"""Do models that know no key match as often as theory says? 30 models, 100,000 keys, every number of matches.

Every model answers one set of abstract triggers once. Then the key is made again and again: a new nonce in the same
transcript gives a new root, and the root new labels, by the code that makes and verifies real keys. The labels of one
root serve all models. Every k is compared with the exact tail; `null_model_bounds.py` says how, and how often a correct
derivation would fail. For contrast: the matches of the same models if labels are chosen after their answers are known.

    python benchmarks/null_models.py [--keys 100000]

About 15 minutes for 100,000 keys of 100 triggers and as many of 512: counting took 158 s and 759 s. It goes on where it
was stopped. A run with another number of keys prints its result and leaves results/ as they are.
"""

import argparse
import csv
import json
import operator
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from rich.progress import Progress, TimeElapsedColumn

from earmark.commitment import digest
from earmark.data import load_data
from earmark.files import write_replacing
from earmark.keys import MarkingKey, OwnerKey, SetId, Task, keygen
from earmark.statistics import match_threshold
from earmark.triggers.abstract import AbstractSampler
from earmark.triggers.image import ImageGeometry
from measuring import RESULTS, save
from null_model_bounds import FALSE_ALARM, Null, compare, nulls
from null_model_zoo import CLASSES, MODEL_COUNT, null_models

SIZES = (100, 512)
FULL_KEY_COUNT = 100_000
KEYS_AT_ONCE = 500
CHANCE = Fraction(1, len(CLASSES))
RUNS = Path(__file__).parent.parent / "runs"
ONLY_SET = SetId(0, 0)


def new_key(trigger_count: int) -> MarkingKey:
    """Make the key whose triggers are asked; reproducible, and therefore for experiments only."""
    return keygen(
        OwnerKey("benchmark", bytes(32)),
        Task(ImageGeometry(8, 8, 1), CLASSES),
        AbstractSampler(),
        triggers_per_set=trigger_count,
        random_bytes=np.random.default_rng(trigger_count).bytes,
    )


def ask(keys: dict[int, MarkingKey]) -> dict[str, Any]:
    """Train the models and put every trigger to each of them, once.

    Args:
        keys: By number of triggers.

    Returns:
        Name, kind and accuracy of each model, and by number of triggers a text of digits for each: its answers.
    """
    data = load_data("digits")
    images = {
        str(size): np.stack([trigger.value for trigger in key.triggers[ONLY_SET]])
        for size, key in keys.items()
    }  # (n, 8, 8, 1)
    models: list[dict[str, Any]] = []
    answers: dict[str, list[str]] = {size: [] for size in images}
    for model in null_models(data):
        right = 100 * float((model.answer(data.test.images[:]) == data.test.labels).mean())
        models.append({"name": model.name, "kind": model.kind, "test_accuracy_percent": right})
        for size, pictures in images.items():
            answers[size].append("".join(str(int(answer)) for answer in model.answer(pictures)))
        print(f"{len(models):2} {model.name}: {right:.1f}% of the test pictures", flush=True)
    return {"models": models, "answers": answers}


def redrawn_labels(key: MarkingKey, number: int) -> tuple[int, ...]:
    """Return the labels of the same key with another nonce: everything else in the transcript stays.

    The nonce follows from the number, so that a run that was stopped goes on with the same keys.
    """
    nonce = digest("earmark/benchmark/null-models", len(key.triggers[ONLY_SET]), number)
    public = key.verification_key
    return replace(public, transcript=replace(public.transcript, nonce=nonce)).labels(ONLY_SET)


def count_matches(
    key: MarkingKey, answers: list[str], numbers: range, on_key: Callable[[], None]
) -> npt.NDArray[np.int64]:
    """Count the matches of every model under some keys.

    Args:
        key: Whose nonce is redrawn.
        answers: One text of digits for each model.
        numbers: Which keys.
        on_key: Called after each.

    Returns:
        ``(models, n + 1)``: keys by number of matches.
    """
    given = np.array([[int(answer) for answer in text] for text in answers], np.uint8)  # (models, n)
    counts = np.zeros((given.shape[0], given.shape[1] + 1), np.int64)
    models = np.arange(len(given))
    for number in numbers:
        labels = np.array(redrawn_labels(key, number), np.uint8)
        counts[models, (given == labels).sum(1)] += 1
        on_key()
    return counts


def count_and_keep(path: Path, keys: dict[int, MarkingKey], key_count: int) -> dict[str, Any]:
    """Ask, redraw and count, and keep what is done in a file, so that a stopped run goes on.

    Args:
        path: The file.
        keys: By number of triggers.
        key_count: How many keys of each number of triggers.

    Returns:
        What ``ask`` returned, with counts and seconds by number of triggers.
    """
    about = {str(size): key.transcript.root.hex() for size, key in keys.items()}
    state = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    if state.get("about") != about:  # none, or of other triggers
        zeros = {size: np.zeros((MODEL_COUNT, int(size) + 1), np.int64).tolist() for size in about}
        state = {"about": about, **ask(keys), "counts": zeros, "seconds": dict.fromkeys(about, 0.0)}
    path.parent.mkdir(exist_ok=True)
    with Progress(*Progress.get_default_columns(), TimeElapsedColumn()) as bar:
        for size, key in keys.items():
            counts = np.array(state["counts"][str(size)])  # (models, n + 1)
            done = int(counts[0].sum())
            task = bar.add_task(f"keys of {size} triggers", total=key_count, completed=done)
            for start in range(done, key_count, KEYS_AT_ONCE):
                numbers = range(start, min(start + KEYS_AT_ONCE, key_count))
                begun = perf_counter()
                counts += count_matches(
                    key, state["answers"][str(size)], numbers, lambda t=task: bar.advance(t)
                )
                state["counts"][str(size)] = counts.tolist()
                state["seconds"][str(size)] += perf_counter() - begun
                write_replacing(path, json.dumps(state).encode())
    return state


def chosen_afterwards(answers: list[str]) -> dict[str, Any]:
    """Return the matches of every model if labels are not derived from the root but chosen after answers are known.

    Two lazy claimants. One has seen the suspect, and labels every trigger with the suspect's commonest answer. The other
    has never seen it: his labels are the answers of a network that he trained himself, here the first of the models.
    Whoever takes the suspect's own answers for labels matches all of them, on any model.
    """
    size = len(answers[0])
    threshold = match_threshold(size, CHANCE)
    assert threshold is not None
    commonest = [Counter(text).most_common(1)[0][1] for text in answers]
    of_first = [sum(map(operator.eq, text, answers[0])) for text in answers[1:]]
    return {
        "matches_that_owned_takes": threshold,
        "commonest_answer": {
            "matches": commonest,
            "models_with_as_many": sum(count >= threshold for count in commonest),
        },
        "answers_of_the_first_model": {
            "matches_of_the_others": of_first,
            "models_with_as_many": sum(count >= threshold for count in of_first),
        },
    }


def write_counts(path: Path, null: Null, counts: npt.NDArray[np.int64], names: list[str]) -> None:
    """Write, for every k that occurred: exact tail, bounds on the keys at k or more, keys at exactly k by model."""
    low, high = null.band()
    rows = [["matches", "exact_tail", "fewest_keys_at_or_above", "most_keys_at_or_above", *names]]
    for matches in np.flatnonzero(counts.any(0)):
        exact = [repr(float(null.tail[matches])), str(low[matches]), str(high[matches])]
        rows.append([str(matches), *exact, *(str(count) for count in counts[:, matches])])
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


def main() -> None:
    """Run the study."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--keys", type=int, default=FULL_KEY_COUNT, help="for each number of triggers")
    key_count = parser.parse_args().keys
    torch.set_num_threads(1)
    state = count_and_keep(
        RUNS / f"null-models-{key_count}.json", {size: new_key(size) for size in SIZES}, key_count
    )
    names = [model["name"] for model in state["models"]]
    theory = nulls(SIZES, len(names), key_count, len(CLASSES))
    compared = {}
    for size, null in theory.items():
        counts, answers = np.array(state["counts"][str(size)]), state["answers"][str(size)]
        compared[str(size)] = {
            "seconds": state["seconds"][str(size)],
            **compare(null, counts, names),
            "labels_chosen_afterwards": chosen_afterwards(answers),
        }
        if key_count == FULL_KEY_COUNT:
            write_counts(RESULTS / f"null-models-{size}.csv", null, counts, names)
    result = {
        "keys_of_each_size": key_count,
        "false_alarm_of_all_tests_together": FALSE_ALARM,
        "triggers": compared,
        "models": state["models"],
        "answers": state["answers"],
    }
    if key_count == FULL_KEY_COUNT:
        save("null-models", result)
    else:
        print(json.dumps({size: {**part, "models": "..."} for size, part in compared.items()}, indent=2))


if __name__ == "__main__":
    main()
