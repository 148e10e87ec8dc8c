"""A thief who draws a new last layer and drives the network away from the old one takes what its end knows."""

from dataclasses import replace

import pytest
import torch

from earmark.attacks import attack_named
from earmark.attacks.protocol import StolenModel, Thief
from earmark.data import Split
from earmark.marking.embedding import Embedding
from earmark.marking.recipes import FROM_SCRATCH, count_matches, mark
from earmark.marking.rehearsal import Rehearsal
from earmark.models.table import build, describe
from earmark.training import TrainingSettings
from small import DIGITS, digits, small_key

NEEDED = 69  # of 100, for a verdict
SETTINGS = TrainingSettings(
    epochs=14, batch_size=64, learning_rate=0.05, warmup_epochs=1, augmentation="crop"
)
PLAIN = replace(
    FROM_SCRATCH, settings=SETTINGS, embedding=Embedding(weight=0.5, clean_norm=False), per_batch=20
)
REHEARSAL = Rehearsal("features.5", steps=60, silent_steps=10)


@pytest.mark.slow
def test_rehearsed_ends_leave_him_less():
    left = {}
    thief = Thief(Split(digits().train.images[:400], digits().train.labels[:400]), "crop")
    attack = attack_named("fst", epochs=10)
    for name, recipe in (("plain", PLAIN), ("rehearsed", replace(PLAIN, rehearsal=REHEARSAL))):
        torch.manual_seed(0)
        description = describe("digits-cnn", (8, 8, 1), DIGITS, 32)
        module, backdoor = build(description), small_key().backdoor()
        assert mark(module, digits().train, description.preprocessing, backdoor, recipe).match_count >= 98
        stolen = attack.run(StolenModel(module, description), thief, 0)
        left[name] = count_matches(stolen.module, description.preprocessing, backdoor)
    assert left["plain"] < NEEDED
    # Seen: 73 and 22 of 100, with another seed 60 and 25.
    assert left["rehearsed"] >= left["plain"] + 25
