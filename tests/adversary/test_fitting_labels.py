"""Labels that fit one model fit others of the same task: all triggers are counted, not those that were taught."""

from fractions import Fraction

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from adversary.digit_models import PREPROCESSING, accuracy, suspect, trained  # noqa: E402 - after the skip
from earmark.data.held_out import named_pictures  # noqa: E402 - after the skip
from earmark.keys import OwnerKey, Task, keygen  # noqa: E402 - after the skip
from earmark.marking.fitting import ill_fitting  # noqa: E402 - after the skip
from earmark.marking.recipes import count_matches  # noqa: E402 - after the skip
from earmark.models.prediction import predict_scores  # noqa: E402 - after the skip
from earmark.statistics import match_tail  # noqa: E402 - after the skip
from earmark.triggers.image import ImageGeometry  # noqa: E402 - after the skip
from earmark.triggers.in_distribution import InDistributionSampler  # noqa: E402 - after the skip
from earmark.verification import measure, verify  # noqa: E402 - after the skip
from small import DIGITS, MemoryJournal, digits  # noqa: E402 - after the skip

KEYS, TRIGGERS, SHARE, CHANCE = 20, 100, 0.3, Fraction(1, 10)


def test_a_model_that_bears_no_mark_answers_as_the_taught_triggers_say_and_yet_is_cleared():
    marked_by_its_vendor, another = trained(0, slice(None)), trained(1, slice(None))
    assert min(accuracy(marked_by_its_vendor), accuracy(another)) > 0.9
    told = suspect(another, "1" * 64)
    pool = named_pictures(digits().test.images, "digits")
    asked, matched, of_taught, taught_count = 0, 0, 0, 0
    for seed in range(KEYS):
        key = keygen(
            OwnerKey("Vendor", bytes(32)),
            Task(ImageGeometry(8, 8, 1), DIGITS),
            InDistributionSampler(pool),
            triggers_per_set=TRIGGERS,
            set_count=1,
            random_bytes=np.random.default_rng(seed).bytes,
        )
        backdoor = key.backdoor()
        images = np.stack([trigger.value for trigger in backdoor.triggers])
        scores = torch.from_numpy(predict_scores(marked_by_its_vendor, images, PREPROCESSING))
        taught = backdoor.without(ill_fitting(backdoor, scores.softmax(1).numpy(), SHARE))
        verdict = verify(measure(key, told, MemoryJournal()))
        assert not verdict.owned
        assert verdict.measurement.question_count == TRIGGERS  # taught or not
        asked, matched = asked + TRIGGERS, matched + verdict.measurement.match_count
        taught_count += len(taught)
        of_taught += count_matches(another, PREPROCESSING, taught)
    # Who counted the taught ones alone would accuse it; a key with as many of these as there are here would do.
    assert taught_count == KEYS * TRIGGERS * SHARE
    assert match_tail(taught_count, of_taught, CHANCE) < Fraction(1, 2**144)
    # Far from any of the two tails of what independence allows.
    assert 1e-4 < match_tail(asked, matched, CHANCE) < 1 - 1e-4
