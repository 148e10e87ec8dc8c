"""Figure 7 of the paper, and who wins: a pirate marks a marked model with a backdoor of his own.

python benchmarks/piracy.py benchmarks/studies/cifar10-small.json [--seeds 0 1 2] [--threads 1]

The owner's models are those of Table 1 (512 triggers in 4 sets, from scratch). The pirate has 10,000 of the 50,000 training
pictures and as many triggers of his own; he marks in 5 passes at 0.01, each trigger shown as often as the owner's. Then
the model is fine-tuned as in the paper's Section 5.3 (FTAL, RTAL) for 5 passes without either's triggers. Both keys are put
to every model by the exact rule, and the two claimants are compared by the rule of ``earmark compare``. The result is written
after every model; the script goes on where it was stopped.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from earmark.attacks import attack_named
from earmark.attacks.protocol import ModelAttack, StolenModel, Thief
from earmark.claims.comparing import CrossCheck, decide
from earmark.data import ClassificationData, load_data
from earmark.evaluation.thief import pirate_key, stolen_pictures
from earmark.keys import MarkingKey
from earmark.models.prediction import accuracy, predict_scores
from earmark.models.weights import LoadedModel, load_weights
from earmark.suspects.torch import TorchSuspect
from earmark.verification import AUTO, FIXED, Method, Verdict, measure, verify
from earmark.verification.experiment import ThrowAwayJournal
from measuring import RESULTS, draw_alike_everywhere, save
from table1 import HERE, key_of, read_study

ARM, PICTURES, TEST_PICTURES, PASSES = "from-scratch-512", 10_000, 2_000, 5
NAME = "piracy"
THEN = ("ftal", "rtal")


def asked(key: MarkingKey, model: StolenModel) -> Verdict:
    """Put a key to a model."""
    suspect = TorchSuspect(LoadedModel(model.module, model.description, ""), "a model of the experiment")
    return verify(measure(key, suspect, ThrowAwayJournal(), method=Method(FIXED, AUTO)))


def row_of(
    name: str, model: StolenModel, keys: dict[str, MarkingKey], data: ClassificationData
) -> dict[str, Any]:
    """Look at a model: accuracy, and what each key says."""
    test = data.test.spread(TEST_PICTURES)
    scores = predict_scores(model.module, test.images, model.description.preprocessing)
    found = {who: asked(key, model) for who, key in keys.items()}
    return {
        "model": name,
        "accuracy_percent": 100 * accuracy(scores, test.labels),
        **{
            who: {
                "matches": verdict.measurement.match_count,
                "claim_bits": verdict.claim_bits,
                "shown": verdict.mark_shown,
            }
            for who, verdict in found.items()
        },
    }


def decision(keys: dict[str, MarkingKey], released: StolenModel, pirated: StolenModel) -> dict[str, Any]:
    """Compare both claimants of the pirated model; each has released his own, and dates are attested."""
    on_suspect = asked(keys["owner"], pirated).mark_shown, asked(keys["pirate"], pirated).mark_shown
    checks = [
        CrossCheck(0, 1, "the pirate's release", asked(keys["owner"], pirated), "attested"),
        CrossCheck(1, 0, "the owner's release", asked(keys["pirate"], released), "attested"),
    ]
    found = decide(("owner", "pirate"), on_suspect, checks)
    return {
        "winner": None if found.winner is None else ("owner", "pirate")[found.winner],
        "reason": found.reason,
    }


def one_seed(seed: int, released: StolenModel, owner: MarkingKey, data: ClassificationData) -> dict[str, Any]:
    """Rob one model."""
    keys = {"owner": owner, "pirate": pirate_key(owner, seed)}
    thief = Thief(stolen_pictures(data.train, PICTURES, seed), data.augmentation)
    robbed = attack_named("piracy", epochs=PASSES)
    pirated = run(robbed, released, replace(thief, backdoor=keys["pirate"].backdoor()), seed)
    rows = [row_of("released", released, keys, data), row_of("pirated", pirated, keys, data)]
    for name in THEN:
        later = run(attack_named(name, epochs=PASSES), pirated, thief, seed)
        rows.append(row_of(f"pirated, then {name}", later, keys, data))
    return {"seed": seed, "rows": rows, "decision": decision(keys, released, pirated)}


def run(attack: Any, model: StolenModel, thief: Thief, seed: int) -> StolenModel:
    """Run a model attack."""
    if not isinstance(attack, ModelAttack):
        raise TypeError(f"{attack} changes no model")
    return attack.run(model, thief, seed)


def main() -> None:
    """Run what is missing."""
    draw_alike_everywhere()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    study = read_study(arguments.study)
    data = load_data(study.data)
    path = RESULTS / f"{NAME}.json"
    runs: list[dict[str, Any]] = json.loads(path.read_text("utf-8"))["runs"] if path.exists() else []
    for seed in arguments.seeds:
        if any(done["seed"] == seed for done in runs):
            continue
        weights = load_weights(HERE / "models" / study.name / f"{ARM}-seed{seed}.safetensors")
        owner = key_of(study, next(arm for arm in study.arms if arm.name == ARM), seed, data)
        runs.append(one_seed(seed, StolenModel(weights.module, weights.description), owner, data))
        save(NAME, {"pictures": PICTURES, "passes": PASSES, "runs": runs})


if __name__ == "__main__":
    main()
