"""A hardened mark of two kinds of triggers in one trained model: abstract pictures, and held-out pictures of the task.

    python benchmarks/hold_out.py data/cifar10 data/cifar10-held-out --part test --one-in 20 --to held-out
    python benchmarks/two_kinds.py [--seeds 0 1 2] [--threads 2] [--graft | --hard]
    earmark evaluate benchmarks/studies/robustness-two-kinds.toml …

    python benchmarks/hold_out.py data/cifar10 data/cifar10-half --part test --one-in 2 --to held-out  # for --hard

A key's first stratum is 4 sets of 128 abstract pictures, its second one set of 128 held-out ones, of which accuracy knows
nothing; ``earmark mark --hardened --fresh-ends`` puts both into Table 1's unmarked network (table1.py makes it). With --graft
the keys commit a graft onto that network (``keygen --graft-onto``), which is taught too: other keys, other models. With
--hard the second stratum is 2 sets of 128, those of half of the test pictures of which the network that is marked is least
sure (``keygen --hardest-for``); accuracy is that on the other half. Keys go to the ignored folders keys/two-kinds and so on,
drawn from seeds and with a passphrase that everybody knows: they protect nothing. Killed, the same command goes on.
"""

import copy
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from earmark.cli.ways_of_marking import Shares, untaught
from earmark.commitment.canonical import Json
from earmark.data import ClassificationData, load_data
from earmark.data.held_out import PartOfData, held_out_pictures, least_sure
from earmark.files import SECRET_MODE, write_replacing
from earmark.formats import marking_key_v1
from earmark.keys import MarkingKey, OwnerKey, Task, keygen
from earmark.keys.generation import StratumPlan
from earmark.marking.fitting import places_left
from earmark.marking.grafts import Graft
from earmark.marking.hardening import harden
from earmark.marking.recipes import PRE_TRAINED, count_matches, mark, pre_trained_settings
from earmark.models.grafting import CODE
from earmark.models.prediction import accuracy, predict_scores
from earmark.models.weights import file_digest, save_weights
from earmark.revival import GraftPlan, data_digest
from earmark.training import Checkpoint
from earmark.triggers import Sampler
from earmark.triggers.abstract import AbstractSampler
from earmark.triggers.image import ImageGeometry
from earmark.triggers.in_distribution import InDistributionSampler
from earmark.triggers.tables import LIKE_THE_TASK
from earmark.verification.measurement import of_stratum
from measuring import asked_for, known_runs, save
from quick_marking import STUDY, start_of
from study_keys import PASSPHRASE_FILE, TESTING_ONLY_PASSPHRASE, TESTING_ONLY_SCRYPT_N
from table1 import CHECKPOINT_SECONDS, HERE, read_study

NAME, GRAFT_NAME, HARD_NAME = "two-kinds", "two-kinds-graft", "two-kinds-hard"
DATA, HALF = "folder:data/cifar10-held-out", "folder:data/cifar10-half"
TRIGGERS, FIRST_SETS, HARD_SETS = 128, 4, 2


def key_of(data: ClassificationData, seed: int, graft: bool = False) -> MarkingKey:
    """Make the key; reproducible, and therefore for experiments only."""
    plan = GraftPlan(data_digest(data.train, data.class_names), start_of(seed).digest) if graft else None
    held_out = held_out_pictures(f"{DATA}#held-out", data.input_shape, load_data)
    return _key(data, held_out, 1, [seed, 2], None if plan is None else plan.to_json())


def hard_key_of(data: ClassificationData, seed: int) -> MarkingKey:
    """Make the key with hard held-out pictures; for experiments only, too."""
    hard = least_sure(*judged_half(data, seed), TRIGGERS * HARD_SETS)
    return _key(data, hard, HARD_SETS, [seed, 33], None)


def judged_half(data: ClassificationData, seed: int) -> tuple[PartOfData, npt.NDArray[np.float64]]:
    """Return half of the test pictures, and what the unmarked network says of them, ``(pictures, classes)``."""
    half, start = held_out_pictures(f"{HALF}#held-out", data.input_shape, load_data), start_of(seed)
    scores = predict_scores(start.module, half.images, start.description.preprocessing)
    return half, torch.from_numpy(scores).softmax(1).numpy()


def _key(
    data: ClassificationData,
    held_out: PartOfData,
    sets: int,
    numbers: list[int],
    revival: dict[str, Json] | None,
) -> MarkingKey:
    kinds = [
        StratumPlan(AbstractSampler(), TRIGGERS, FIRST_SETS),
        StratumPlan(InDistributionSampler(held_out), TRIGGERS, sets),
    ]
    return drawn_key(data, kinds, numbers, revival)


def drawn_key(
    data: ClassificationData,
    kinds: Sequence[StratumPlan],
    numbers: list[int],
    revival: dict[str, Json] | None = None,
) -> MarkingKey:
    """Make a key from a seed; reproducible, and therefore for experiments only."""
    first, *further = kinds
    return keygen(
        OwnerKey("benchmark", bytes(32)),
        Task(ImageGeometry(*data.input_shape), data.class_names),
        first.sampler,
        triggers_per_set=first.triggers_per_set,
        set_count=first.set_count,
        further_strata=further,
        revival=revival,
        random_bytes=np.random.default_rng(numbers).bytes,
    )


def marked(
    data: ClassificationData,
    key: MarkingKey,
    seed: int,
    name: str,
    *,
    fresh_ends: bool = True,
    sampler: Sampler | None = None,
    shares: Shares | None = None,
    as_attacked: Sequence[nn.Module] = (),
) -> dict[str, Any]:
    """Mark once, keep the model, and return what was measured.

    Args:
        data: CIFAR-10.
        key: Whose mark; if it revives, by a graft onto the network that is marked.
        seed: Of the network that is marked, and of the training.
        name: Of the benchmark.
        fresh_ends: As for ``harden``, and so is
        sampler: what makes the look-alikes.
        shares: Of each kind of triggers that is taught: those whose labels fit best. None for all.
        as_attacked: As for ``untaught``.
    """
    loaded = start_of(seed)
    module, preprocessing = loaded.module, loaded.description.preprocessing

    def right() -> float:
        return 100 * accuracy(predict_scores(module, data.test.images, preprocessing), data.test.labels)

    before, start = right(), perf_counter()
    settings = pre_trained_settings(replace(read_study(STUDY).settings, seed=seed), hardened=True)
    left = untaught(module, loaded.description, key, shares or {}, as_attacked)
    backdoor = key.backdoor().without(left)
    grafts = key.transcript.revival is not None
    graft = Graft(copy.deepcopy(module), key.seed(CODE)) if grafts else None
    recipe = harden(
        replace(PRE_TRAINED, settings=settings, graft=graft),
        module,
        backdoor,
        preprocessing,
        like_the_task=places_left(key.places_of(*LIKE_THE_TASK), left),
        fresh_ends=fresh_ends,
        sampler=sampler,
    )
    path = HERE / "models" / name / f"{_stem(name)}-seed{seed}.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    root = key.transcript.root.hex()
    marking = mark(
        module, data.train, preprocessing, backdoor, recipe,
        checkpoint=Checkpoint(path.with_suffix(".checkpoint"), f"{root} {seed}", CHECKPOINT_SECONDS),
        on_epoch=lambda epoch: print(f"seed {seed}: {epoch}, {perf_counter() - start:.0f} s", flush=True),
    )  # fmt: skip
    save_weights(path, module.eval(), loaded.description)
    return {
        "root": root,
        "accuracy_before": before,
        "accuracy": right(),
        "k": marking.per_batch,
        **({"taught": len(backdoor)} if left else {}),
        **({} if graft is None else {"graft_matches": marking.graft_match_count}),
        "matches": {
            kind: count_matches(module, preprocessing, key.backdoor(of_stratum(key, kind)))
            for kind in (stratum.name for stratum in key.transcript.strata)
        },
        "seconds_in_last_session": round(perf_counter() - start),
        "sha256": file_digest(path),
    }


def _stem(name: str) -> str:
    """Return what the files of a benchmark begin with."""
    return NAME if name.startswith(NAME) else name


def write_key(key: MarkingKey, seed: int, name: str) -> None:
    """Write a key file for ``earmark evaluate``, and the passphrase beside it."""
    folder = HERE / "keys" / name
    folder.mkdir(parents=True, exist_ok=True)
    write_replacing(folder / PASSPHRASE_FILE, f"{TESTING_ONLY_PASSPHRASE}\n".encode())
    sealed = marking_key_v1.write(key, TESTING_ONLY_PASSPHRASE, TESTING_ONLY_scrypt_n=TESTING_ONLY_SCRYPT_N)
    write_replacing(folder / f"{_stem(name)}-seed{seed}.key", sealed, SECRET_MODE)


def make_missing(
    name: str,
    seeds: Iterable[int],
    key_for: Callable[[int], MarkingKey],
    mark_once: Callable[[MarkingKey, int], dict[str, Any]],
) -> None:
    """Write the keys of a benchmark, and mark and measure what there is no result of."""
    for seed in seeds:
        key = key_for(seed)
        write_key(key, seed, name)
        if str(seed) in known_runs(name):
            if known_runs(name)[str(seed)]["root"] != key.transcript.root.hex():
                raise SystemExit(f"seed {seed}: the key is not the one that the model was marked with")
            continue
        run = mark_once(key, seed)
        save(name, {"runs": dict(sorted({**known_runs(name), str(seed): run}.items()))})


def main() -> None:
    """Make what is missing."""
    seeds, variant = asked_for(__doc__, [0, 1, 2], "graft", "hard")
    name = {None: NAME, "graft": GRAFT_NAME, "hard": HARD_NAME}[variant]
    data = load_data(HALF if variant == "hard" else DATA)
    make_missing(
        name,
        seeds,
        lambda seed: hard_key_of(data, seed) if variant == "hard" else key_of(data, seed, variant == "graft"),
        lambda key, seed: marked(data, key, seed, name),
    )


if __name__ == "__main__":
    main()
