"""What grafts show of marks after attacks: a suspect's weights at secret places, put into the network before its mark.

    python benchmarks/two_kinds.py --graft
    earmark evaluate benchmarks/studies/robustness-two-kinds-graft.toml -o runs/two-kinds-graft
    python benchmarks/grafts.py [--runs runs/two-kinds-graft]

The evaluation keeps what its attacks made; every such model is asked as it is and as ``earmark verify --revive --graft-onto``
asks it, each kind of trigger alone, and so is the marked model itself, and some with their channels in another order. Networks that have no mark but come from the same
original are grafted too: what those answer must be chance. Finished cells are kept. robustness_table.py writes the page's
tables.
"""

import argparse
import copy
import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from rich.progress import track
from torch import Tensor, nn

from earmark.data import load_data
from earmark.keys import MarkingKey
from earmark.marking.recipes import count_matches
from earmark.models.grafting import CODE
from earmark.models.prediction import accuracy, predict_scores
from earmark.models.weights import LoadedModel, load_weights
from earmark.processor import keep_freed_memory
from earmark.revival import GraftPlan, revive_by_graft
from earmark.triggers.abstract import AbstractSampler
from earmark.triggers.in_distribution import InDistributionSampler
from earmark.verification.measurement import of_stratum
from measuring import RESULTS, claim_bits, draw_alike_everywhere, save
from quick_marking import start_of
from revival import CHOICE_BITS, files_by_digest
from table1 import HERE
from two_kinds import DATA, GRAFT_NAME, key_of

NAME, STUDY = "grafts", "robustness-two-kinds-graft"
KINDS = (AbstractSampler.name, InDistributionSampler.name)
INDEPENDENT = (
    "unmarked-continued-fast",
    "unmarked-continued-settled",
    "fresh-ends-settled-512",
    "rehearsed-settled-256",
)
"""Networks of Table 1 that were made from the same original: without a mark, or with that of another key."""

TURNED, TURNED_AFTER = ", then in another order, seed", ("weight-shifting", "none")
"""After these attacks a thief puts channels into another order and scale too, which changes nothing that they answer."""


def attacked_models(runs: Path) -> dict[str, Path]:
    """Return where the models lie that the study's attacks made of a marked one, by attack and seed."""
    files = files_by_digest(runs)
    with (RESULTS / f"{STUDY}.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["digest_attacked"] in files]
    return {f"{row['attack']}, seed {row['model'][-1]}": files[row["digest_attacked"]] for row in rows}


def others() -> dict[str, Path]:
    """Return the marked models, and networks from the same originals that do not depend on these keys."""
    folder = HERE / "models"
    found = {
        f"none, seed {seed}": folder / GRAFT_NAME / f"two-kinds-seed{seed}.safetensors" for seed in range(3)
    }
    found |= {
        f"{name}, seed {seed}": folder / "cifar10-small" / f"{name}-seed{seed}.safetensors"
        for name in INDEPENDENT
        for seed in range(3)
    }
    return {name: path for name, path in found.items() if path.exists()}


def in_another_order(module: nn.Module, seed: int) -> nn.Module:
    """Return the same function of a ResNet-18 with every hidden channel in another place and of another scale."""
    other, draws = copy.deepcopy(module), torch.Generator().manual_seed(seed)
    blocks: Any = other.get_submodule("blocks")
    for block in blocks:  # what lies within a block
        count = block.conv1.out_channels
        scales = 0.5 + torch.rand(count, generator=draws)
        _move([block.conv1], [block.norm2], [block.conv2], torch.randperm(count, generator=draws), scales)
    for stage in range(4):  # what the blocks of a stage add to
        first, second, later = blocks[2 * stage], blocks[2 * stage + 1], blocks[2 * stage + 2 : 2 * stage + 3]
        written = [first.conv2, second.conv2, first.shortcut]
        normed, read = [second.norm1], [second.conv1]
        if stage == 0:
            stem: Any = other.get_submodule("stem")
            written[2] = stem[0]
            normed, read = [stem[1], first.norm1, *normed], [first.conv1, *read]
        for block in later:
            normed, read = [*normed, block.norm1], [*read, block.conv1, block.shortcut]
        order = torch.randperm(second.conv2.out_channels, generator=draws)
        _move(written, normed, read if later else [*read, other.get_submodule("classifier")], order, None)
    return other


@torch.no_grad()
def _move(
    written: list[Any], normed: list[Any], read: list[Any], order: Tensor, scales: Tensor | None
) -> None:
    """Put channels into another order where they are written, normalised and read; scaled where they are normalised."""
    for part in written:
        part.weight.copy_(part.weight[order])
    for norm in normed:
        for tensor in (norm.weight, norm.bias, norm.running_mean, norm.running_var):
            tensor.copy_(tensor[order])
        if scales is not None:
            norm.weight.mul_(scales)
            norm.bias.mul_(scales)
    for part in read:
        part.weight.copy_(part.weight[:, order])
        if scales is not None:
            part.weight.div_(scales.view(1, -1, *[1] * (part.weight.ndim - 2)))


def main() -> None:
    """Graft what is missing, and save it."""
    draw_alike_everywhere()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, default=Path("runs/two-kinds-graft"))
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    keep_freed_memory()
    torch.set_num_threads(arguments.threads)
    data = load_data(DATA)
    path = RESULTS / f"{NAME}.json"
    cells: dict[str, Any] = json.loads(path.read_text("utf-8"))["cells"] if path.exists() else {}
    keys: dict[int, MarkingKey] = {}
    originals: dict[int, LoadedModel] = {}

    def asked(model: LoadedModel, key: MarkingKey, paid: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for kind in KINDS:
            backdoor = key.backdoor(of_stratum(key, kind))
            matches = count_matches(model.module, model.description.preprocessing, backdoor)
            bits = claim_bits(len(backdoor), matches, backdoor.class_count) - paid
            found[kind] = {"triggers": len(backdoor), "matches": matches, "bits": bits}
        return found

    files = {**others(), **attacked_models(arguments.runs)}
    files |= {
        name.replace(", seed", TURNED): path for name, path in files.items() if name.startswith(TURNED_AFTER)
    }
    for name, file in track(files.items(), "grafting"):
        if name in cells:
            continue
        seed = int(name[-1])
        if seed not in keys:
            keys[seed], originals[seed] = key_of(data, seed, graft=True), start_of(seed)
        key, suspect = keys[seed], load_weights(file)
        if TURNED in name:
            suspect = replace(suspect, module=in_another_order(suspect.module, seed))
        plan = GraftPlan.from_json(key.transcript.revival)
        made = revive_by_graft(suspect, originals[seed], data.train, data.class_names, plan, key.seed(CODE))
        cells[name] = {"grafted": asked(made, key, CHOICE_BITS)}
        if suspect.description.class_names == made.description.class_names:
            scores = predict_scores(suspect.module, data.test.images, suspect.description.preprocessing)
            cells[name] |= {
                "accuracy": 100 * accuracy(scores, data.test.labels),
                "as it is": asked(suspect, key, CHOICE_BITS),
            }
        save(NAME, {"study": STUDY, "cells": cells})


if __name__ == "__main__":
    main()
