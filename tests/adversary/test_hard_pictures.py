"""A claimant picks what somebody else's model is least sure of: he chooses triggers, and still no labels."""

from fractions import Fraction

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from adversary.digit_models import PREPROCESSING, accuracy, suspect, trained  # noqa: E402 - after the skip
from earmark.data.held_out import PartOfData, least_sure, least_sure_pairs, some_pairs  # noqa: E402 - after the skip
from earmark.keys import OwnerKey, Task, keygen  # noqa: E402 - after the skip
from earmark.models.prediction import predict_scores  # noqa: E402 - after the skip
from earmark.statistics import match_tail  # noqa: E402 - after the skip
from earmark.triggers.image import ImageGeometry  # noqa: E402 - after the skip
from earmark.triggers.in_distribution import InDistributionSampler  # noqa: E402 - after the skip
from earmark.triggers.mixtures import MixturesSampler, mixed  # noqa: E402 - after the skip
from earmark.verification import measure, verify  # noqa: E402 - after the skip
from small import DIGITS, MemoryJournal, digits  # noqa: E402 - after the skip

KEYS, TRIGGERS, LOOKED_AT = 20, 100, 106  # of pictures nearly alike one is left out


def hard_pictures(pool, said):
    probabilities = said(pool.images)
    hard = least_sure(pool, probabilities, LOOKED_AT)
    assert said(hard.images).max() <= np.sort(probabilities.max(1))[LOOKED_AT - 1] + 1e-6
    return InDistributionSampler(hard)


def hard_mixtures(pool, said):
    pairs = some_pairs(len(pool.names), 40 * TRIGGERS, np.random.default_rng(0))
    probabilities = said(np.stack([mixed(pool.pixels(one), pool.pixels(other)) for one, other in pairs]))
    chosen = least_sure_pairs(pairs, probabilities, 2 * TRIGGERS)
    assert probabilities.max(1)[[pairs.index(pair) for pair in chosen]].max() < np.median(
        probabilities.max(1)
    )
    return MixturesSampler(pool, chosen)


@pytest.mark.parametrize("sampler_for", [hard_pictures, hard_mixtures])
def test_what_the_suspect_is_least_sure_of_matches_no_more_often_than_one_in_c(sampler_for):
    module = trained(0, slice(None))
    assert accuracy(module) > 0.9
    images = digits().test.images
    pool = PartOfData(images, tuple(map(str, range(len(images)))), "pictures", False)

    def said(pictures):
        return torch.from_numpy(predict_scores(module, pictures, PREPROCESSING)).softmax(1).numpy()

    sampler = sampler_for(pool, said)
    told = suspect(module, "0" * 64)
    total = 0
    for seed in range(KEYS):
        key = keygen(
            OwnerKey("Mallory", bytes(32)),
            Task(ImageGeometry(8, 8, 1), DIGITS),
            sampler,
            triggers_per_set=TRIGGERS,
            set_count=1,
            random_bytes=np.random.default_rng(seed).bytes,
        )
        verdict = verify(measure(key, told, MemoryJournal()))
        assert not verdict.owned
        total += verdict.measurement.match_count
    # Far from any of the two tails of what independence allows, which one key more would not change.
    assert 1e-4 < match_tail(KEYS * TRIGGERS, total, Fraction(1, 10)) < 1 - 1e-4
