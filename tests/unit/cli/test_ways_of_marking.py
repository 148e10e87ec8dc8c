from fractions import Fraction

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from earmark.cli.ways_of_marking import Work, shares_of, untaught  # noqa: E402 - after the skip
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

HELD_OUT = InDistributionSampler.name


@pytest.fixture(scope="module")
def key():
    return keygen(
        OwnerKey("both", bytes(32)),
        Task(ImageGeometry(8, 8, 1), DIGITS),
        InDistributionSampler(named_pictures(digits().test.images, "digits")),
        triggers_per_set=80,
        set_count=1,
        further_strata=[StratumPlan(AbstractSampler(), 80)],
        survival=Fraction(1),
        random_bytes=Stream("both").read,
    )


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    description = describe("digits-cnn", (8, 8, 1), DIGITS, 4)
    return build(description).eval(), description


def fits(key, network):
    """What the network says of each trigger's label."""
    module, description = network
    backdoor = key.backdoor()
    said = np.exp(scores_of(module, description.preprocessing, backdoor))
    said = said / np.exp(scores_of(module, description.preprocessing, backdoor)).sum(1, keepdims=True)
    return said[np.arange(len(backdoor)), np.array(backdoor.labels)]


def test_of_a_kind_that_is_named_some_are_left_untaught_and_all_of_the_other_are_taught(key, network):
    module, description = network
    out = untaught(module, description, key, {HELD_OUT: 0.25})
    assert len(out) == 60
    assert max(out) < 80
    work = Work(module, description, digits(), key, 0, None, {}, None, out)
    every, taught = key.backdoor(), work.backdoor()
    assert taught == every.without(out)
    assert work.held_out() == tuple(range(20))
    fit = fits(key, network)[:80]
    assert fit[list(out)].max() <= np.delete(fit, out).min()


@pytest.mark.parametrize(
    ("shares", "left"),
    [({None: 0.25}, (20, 20)), ({HELD_OUT: 0.25, "abstract": 0.5}, (20, 40)), ({"abstract": 0.1}, (80, 8))],
)
def test_a_share_is_of_each_kind(key, network, shares, left):
    out = np.array(untaught(*network, key, shares))
    assert ((out < 80).sum(), (out >= 80).sum()) == (80 - left[0], 80 - left[1])
    fit = fits(key, network)
    for first in (0, 80):
        of_kind = np.arange(first, first + 80)
        taught = np.setdiff1d(of_kind, out)
        if 0 < len(taught) < 80:
            assert fit[np.intersect1d(of_kind, out)].max() <= fit[taught].min()


def test_what_networks_say_together_decides(key, network):
    torch.manual_seed(1)
    other = build(network[1]).eval()
    out = untaught(*network, key, {HELD_OUT: 0.25, "abstract": 1}, [other])
    assert len(out) == 60
    both = fits(key, network) + fits(key, (other, network[1]))
    assert both[list(out)].max() <= np.delete(both[:80], out).min()
    assert set(out) != set(untaught(*network, key, {HELD_OUT: 0.25, "abstract": 1}))


def test_without_shares_all_are_taught(key, network):
    assert untaught(*network, key, {}) == ()


def test_a_kind_that_the_key_does_not_have_is_named(key, network):
    with pytest.raises(
        ValueError, match=r"no triggers of the kind 'noise'; it has in-distribution, abstract"
    ):
        untaught(*network, key, {"noise": 0.5})


def test_some_trigger_has_to_be_taught(key, network):
    with pytest.raises(ValueError, match="give a larger share"):
        untaught(*network, key, {None: 0.001})


@pytest.mark.parametrize(
    ("texts", "shares"),
    [
        ([], {}),
        (["0.45"], {None: 0.45}),
        (["abstract=.6", "in-distribution=1"], {"abstract": 0.6, "in-distribution": 1.0}),
    ],
)
def test_shares_are_read(texts, shares):
    assert shares_of(texts) == shares


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["half"], "takes SHARE or KIND=SHARE"),
        (["abstract="], "takes SHARE or KIND=SHARE"),
        (["0"], "above 0 and at most 1"),
        (["abstract=1.5"], "above 0 and at most 1"),
        (["nan"], "above 0 and at most 1"),
        (["0.5", "0.4"], "twice how many of all triggers"),
        (["noise=0.5", "noise=0.5"], "twice how many of noise"),
        (["0.5", "noise=0.5"], "not both"),
    ],
)
def test_shares_that_make_no_sense_are_refused(texts, message):
    with pytest.raises(ValueError, match=message):
        shares_of(texts)
