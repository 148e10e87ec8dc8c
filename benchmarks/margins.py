"""Whether a mark of held-out pictures passes into a copy when it is taught with a margin around each, on real digits.

As Kim et al. (ICML 2023, margin-based watermarking) teach theirs: before each step the triggers are moved, in five steps
and within a cube around each, to where the network is least sure of their labels, and taught there. Data, keys and copies are
those of trigger_kinds.py; the radius is in units of what the network reads.

    python benchmarks/margins.py [--seeds 3]
"""

import argparse
from dataclasses import replace

import numpy as np
import torch
from torch import nn

from earmark.data import Split
from earmark.data.table import digits_images
from earmark.marking.embedding import Embedding, EmbeddingLoss
from earmark.marking.mixing import Mixer
from earmark.marking.recipes import MixedBatches
from earmark.models.prediction import accuracy, predict_scores
from earmark.models.table import build
from earmark.training import SMALL_DATA_SETTINGS, SplitBatches, train
from earmark.triggers import Backdoor
from earmark.triggers.in_distribution import InDistributionSampler
from measuring import mean_interval, save
from trigger_kinds import DESCRIPTION, HeldOut, answers, divided, new_key, trained

RADII = (0.0, 0.1, 0.2, 0.3, 0.6)


def marked(split: Split, seed: int, backdoor: Backdoor, radius: float) -> nn.Module:
    """Return a network trained with the triggers, each with a margin."""
    settings = replace(SMALL_DATA_SETTINGS, seed=seed)
    torch.manual_seed(seed)
    module = build(DESCRIPTION)
    batches = SplitBatches(split, DESCRIPTION.preprocessing, settings)
    mixer = Mixer(
        backdoor,
        lambda pixels: torch.from_numpy(DESCRIPTION.preprocessing(pixels[None])[0]),
        settings.epochs * batches.steps_per_epoch,
        seed=seed,
    )

    loss = EmbeddingLoss(Embedding(weight=None, clean_norm=False, reach=radius), mixer.per_batch)
    train(module, MixedBatches(batches, mixer), settings, loss_function=loss)
    return module


def main() -> None:
    """Run the study."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    every = digits_images()
    found = {radius: {"lost": [], "matches": [], "copied": [], "copy": []} for radius in RADII}
    for seed in range(arguments.seeds):
        split, held_out, test = divided(every, seed)
        clean = accuracy(
            predict_scores(trained(split, seed), test.images, DESCRIPTION.preprocessing), test.labels
        )
        backdoor = new_key(InDistributionSampler(HeldOut(held_out.images)), seed).backdoor()
        triggers = np.stack([trigger.value for trigger in backdoor.triggers])
        labels = np.array(backdoor.labels)
        for radius, result in found.items():
            module = marked(split, seed, backdoor, radius)
            right = (answers(module, test.images) == test.labels).mean()
            copy = trained(Split(split.images, answers(module, split.images)), seed + 1000)
            result["lost"].append(100 * float(clean - right))
            result["matches"].append(int((answers(module, triggers) == labels).sum()))
            result["copied"].append(int((answers(copy, triggers) == labels).sum()))
            result["copy"].append(100 * float((answers(copy, test.images) == test.labels).mean()))
            print(seed, radius, {name: values[-1] for name, values in result.items()}, flush=True)
    save(
        "margins",
        {
            "seeds": arguments.seeds,
            "radii": {
                str(radius): {
                    "points_lost_by_marking": mean_interval(result["lost"]),
                    "matches_of_100": result["matches"],
                    "matches_of_100_copied_by_answers": result["copied"],
                    "accuracy_of_copy": mean_interval(result["copy"]),
                }
                for radius, result in found.items()
            },
        },
    )


if __name__ == "__main__":
    main()
