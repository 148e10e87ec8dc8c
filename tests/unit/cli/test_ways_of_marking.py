from fractions import Fraction

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from earmark.cli.ways_of_marking import Work, untaught  # noqa: E402 - after the skip
from earmark.commitment import Stream  # noqa: E402 - after the skip
from earmark.data.held_out import named_pictures  # noqa: E402 - after the skip
from earmark.keys import OwnerKey, Task, keygen  # noqa: E402 - after the skip
from earmark.keys.generation import StratumPlan  # noqa: E402 - after the skip
from earmark.marking.recipes import scores_of  # noqa: E402 - after the skip
from earmark.models.table import build, describe  # noqa: E402 - after the skip
from earmark.triggers.abstract import AbstractSampler  # noqa: E402 - after the skip
from earmark.triggers.image import ImageGeometry  # noqa: E402 - after the skip
from earmark.triggers.in_distribution import InDistributionSampler  # noqa: E402 - after the skip
from small import DIGITS, digits  # noqa: E402 - after the skip


def test_of_two_kinds_held_out_pictures_alone_are_left_untaught_and_found_again():
    key = keygen(
        OwnerKey("both", bytes(32)),
        Task(ImageGeometry(8, 8, 1), DIGITS),
        InDistributionSampler(named_pictures(digits().test.images, "digits")),
        triggers_per_set=80,
        set_count=1,
        further_strata=[StratumPlan(AbstractSampler(), 80)],
        survival=Fraction(1),
        random_bytes=Stream("both").read,
    )
    torch.manual_seed(0)
    description = describe("digits-cnn", (8, 8, 1), DIGITS, 4)
    module = build(description).eval()
    out = untaught(module, description, key, 0.25)
    assert len(out) == 60
    assert max(out) < 80
    work = Work(module, description, digits(), key, 0, None, {}, None, out)
    every, taught = key.backdoor(), work.backdoor()
    assert taught == every.without(out)
    assert work.held_out() == tuple(range(20))
    said = scores_of(module, description.preprocessing, every)
    said = np.exp(said) / np.exp(said).sum(1, keepdims=True)
    fit = said[np.arange(len(every)), np.array(every.labels)][:80]
    assert fit[list(out)].max() <= np.delete(fit, out).min()
