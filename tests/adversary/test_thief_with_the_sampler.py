"""A thief with the sampler and not the secrets teaches the model what such pictures mean without a mark."""

from dataclasses import replace

import pytest
import torch

from earmark.attacks import attack_named
from earmark.attacks.protocol import StolenModel, Thief
from earmark.data import Split
from earmark.marking.embedding import Embedding
from earmark.marking.look_alikes import LookAlikes
from earmark.marking.recipes import FROM_SCRATCH, count_matches, mark
from earmark.models.table import build, describe
from earmark.training import TrainingSettings
from earmark.triggers.abstract import AbstractSampler
from small import DIGITS, digits, small_key

NEEDED = 69  # of 100, for a verdict
SETTINGS = TrainingSettings(
    epochs=14, batch_size=64, learning_rate=0.05, warmup_epochs=1, augmentation="crop"
)
PLAIN = replace(
    FROM_SCRATCH, settings=SETTINGS, embedding=Embedding(weight=0.5, clean_norm=False), per_batch=20
)
LOOK_ALIKES = LookAlikes(AbstractSampler(), count=1000, per_batch=32, weight=0.5, blur=1.0)


@pytest.mark.slow
def test_look_alikes_take_his_attack_away_from_him():
    left = {}
    thief = Thief(
        Split(digits().train.images[:400], digits().train.labels[:400]), "crop", sampler=AbstractSampler()
    )
    attack = attack_named("surrogates-natural", surrogates=1000, blur=1.0, epochs=20, per_batch=96)
    for name, recipe in (("plain", PLAIN), ("taught", replace(PLAIN, look_alikes=LOOK_ALIKES))):
        torch.manual_seed(0)
        description = describe("digits-cnn", (8, 8, 1), DIGITS, 32)
        module, backdoor = build(description), small_key().backdoor()
        assert mark(module, digits().train, description.preprocessing, backdoor, recipe).match_count >= 98
        stolen = attack.run(StolenModel(module, description), thief, 0)
        left[name] = count_matches(stolen.module, description.preprocessing, backdoor)
    assert left["taught"] >= NEEDED
    assert left["taught"] >= left["plain"] + 15
