"""What every sampler in the table promises; a new entry is tested here by being in the table."""

import inspect
import io
from dataclasses import FrozenInstanceError, dataclass, fields
from functools import cache

import numpy as np
import pytest
from PIL import Image

from earmark.commitment import Stream
from earmark.commitment.canonical import canonical_json, parse_canonical_json
from earmark.errors import SimilarTriggersError
from earmark.keys.transcript import STRATUM_KINDS
from earmark.models.columns import Column
from earmark.triggers import SAMPLERS, FiniteSampler, Trigger, kind_named, sampler_named
from earmark.triggers.abstract import AbstractSampler
from earmark.triggers.audio import AudioGeometry
from earmark.triggers.image import ImageGeometry
from earmark.triggers.rows import RowGeometry
from earmark.triggers.text import TextGeometry

GEOMETRIES = {
    "image": (
        ImageGeometry(8, 8, 1),
        ImageGeometry(28, 28, 1),
        ImageGeometry(32, 32, 3),
        ImageGeometry(12, 30, 3),
        ImageGeometry(65, 24, 1),
    ),
    "text": (TextGeometry(40), TextGeometry(60), TextGeometry(400)),
    "audio": (AudioGeometry(4000, 8000), AudioGeometry(16000, 16000), AudioGeometry(500, 2000)),
    "rows": (
        RowGeometry(
            (
                Column("age", "integer", "0.0", "99.0"),
                *(Column(name, "number", "0.4", "2.3") for name in ("height", "width", "depth")),
            )
        ),
        RowGeometry(
            (
                *(Column(name, "number", "-1.0", "1.0") for name in "abcde"),
                Column("colour", "category", categories=("red", "green", "blue")),
                Column("answer", "category", categories=("no", "yes")),
                Column("constant", "number", "5.0", "5.0"),
            )
        ),
    ),
}
CASES = [
    pytest.param(name, geometry, id=f"{name}-{geometry}")
    for name in SAMPLERS
    for geometry in GEOMETRIES[sampler_named(name).kind]
]
TRIGGERS = 100
POOL = 130
# A picture in two equal halves at 78 and 178 deviates by 50; a photograph by 50 to 70.
LEAST_DEVIATION = 45


@cache
def drawn(number, geometry):
    """Pixels of the pools: every tenth picture is the one before it, hardly altered."""
    twin = number % 10 == 9
    pixels = AbstractSampler().sample(geometry, Stream("pool", number - twin)).value
    return np.where(pixels < 128, pixels + 3, pixels - 3).astype(np.uint8) if twin else pixels


@dataclass(frozen=True)
class Album:
    """Colour pictures of several sizes."""

    names: tuple[str, ...] = tuple(f"picture {number}" for number in range(POOL))

    def picture(self, place):
        sides = (90, 70), (50, 64)
        return Image.fromarray(drawn(place, ImageGeometry(*sides[place // 10 % 2], 3)))


@dataclass(frozen=True)
class HeldOut:
    """Pictures of one size."""

    geometry: ImageGeometry
    names: tuple[str, ...] = tuple(f"picture {number}" for number in range(POOL))

    def pixels(self, place):
        return drawn(place, self.geometry)


@dataclass(frozen=True)
class OwnRows:
    """Rows in a corner of the ranges."""

    geometry: RowGeometry

    @property
    def values(self):
        low, high = np.array([column.bounds for column in self.geometry.columns]).T
        whole = np.array([column.is_whole for column in self.geometry.columns])
        rows = low + (high - low) * np.linspace(0, 0.3, 40)[:, None]
        return np.where(whole, np.rint(rows), rows).astype(np.float32)


# What a sampler cannot do without. A sampler that is not here must do without anything.
NEEDS = {
    "folder": lambda geometry: (Album(),),
    "in-distribution": lambda geometry: (HeldOut(geometry),),
    "mixtures": lambda geometry: (HeldOut(geometry, tuple(f"picture {n}" for n in range(2 * POOL))),),
    "negatives": lambda geometry: (HeldOut(geometry, tuple(f"picture {n}" for n in range(2 * POOL))),),
    "rows": lambda geometry: (OwnRows(geometry),),
}


def new_sampler(name, geometry=None):
    kind = sampler_named(name).kind
    return sampler_named(name)(*NEEDS.get(name, lambda _: ())(geometry or GEOMETRIES[kind][0]))


def maker(name, geometry):
    """The function from streams to triggers of one key."""
    sampler = new_sampler(name, geometry)
    if isinstance(sampler, FiniteSampler):
        return sampler.deal(geometry)
    return lambda stream: sampler.sample(geometry, stream)


@cache
def made(name, geometry) -> tuple[Trigger, ...]:
    make = maker(name, geometry)
    return tuple(make(Stream("test", number)) for number in range(TRIGGERS))


def finite(name):
    return isinstance(new_sampler(name), FiniteSampler)


UNLIMITED_CASES = [case for case in CASES if not finite(case.values[0])]
FINITE_CASES = [case for case in CASES if finite(case.values[0])]
# Two pictures that are nearly alike, each mixed with another, are not alike any more.
WHOLE_CASES = [case for case in FINITE_CASES if case.values[0] not in ("mixtures", "negatives")]


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_sampler_is_named_as_in_the_table_and_its_parameters_are_public_json(name):
    sampler = new_sampler(name)
    assert sampler.name == name
    assert kind_named(sampler.kind).name == sampler.kind
    parameters = sampler.parameters()
    assert isinstance(parameters, dict)
    assert parse_canonical_json(canonical_json(parameters), "parameters") == parameters


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_transcript_has_a_place_for_the_sampler(name):
    assert name in STRATUM_KINDS


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_sampler_is_a_frozen_value(name):
    sampler = new_sampler(name)
    assert sampler == new_sampler(name)
    assert hash(sampler) == hash(new_sampler(name))
    assert list(inspect.signature(sampler.sample).parameters) == ["geometry", "randomness"]
    for field in fields(sampler):
        with pytest.raises(FrozenInstanceError):
            setattr(sampler, field.name, None)


@pytest.mark.parametrize(("name", "geometry"), CASES)
def test_triggers_fit_their_geometry_and_their_bytes_decode(name, geometry):
    kind = kind_named(sampler_named(name).kind)
    for trigger in made(name, geometry):
        assert trigger.kind == kind.name
        assert kind.fits(trigger.canonical_bytes, geometry)
        assert kind.encode(trigger.value) == trigger.canonical_bytes


@pytest.mark.parametrize(
    ("name", "geometry"), [case for case in CASES if isinstance(case.values[1], ImageGeometry)]
)
def test_triggers_are_shown_as_they_are(name, geometry):
    for trigger in made(name, geometry)[:5]:
        shown = trigger.show()
        pixels = np.asarray(Image.open(io.BytesIO(shown.data)))
        assert shown.media_type == "image/png"
        assert np.array_equal(pixels.reshape(trigger.value.shape), trigger.value)


@pytest.mark.parametrize(("name", "geometry"), UNLIMITED_CASES)
def test_the_same_stream_makes_the_same_trigger_whatever_was_made_before(name, geometry):
    again = new_sampler(name, geometry).sample(geometry, Stream("test", 7))
    assert again == made(name, geometry)[7]


@pytest.mark.parametrize(("name", "geometry"), FINITE_CASES)
def test_the_same_streams_deal_the_same_triggers_and_others_deal_others(name, geometry):
    again = maker(name, geometry)
    assert tuple(again(Stream("test", number)) for number in range(20)) == made(name, geometry)[:20]
    sampler = new_sampler(name, geometry)
    assert sampler.sample(geometry, Stream("test", 0)) == made(name, geometry)[0]
    other = maker(name, geometry)
    assert [other(Stream("others", number)) for number in range(20)] != list(made(name, geometry)[:20])


@pytest.mark.parametrize(("name", "geometry"), WHOLE_CASES)
def test_a_pool_is_dealt_to_its_end_without_twins_and_then_names_them(name, geometry):
    deal, dealt = maker(name, geometry), []

    def deal_all():
        dealt.extend(deal(Stream("test", number)) for number in range(POOL + 1))

    with pytest.raises(SimilarTriggersError, match=r"picture \d+ like picture \d+") as raised:
        deal_all()
    # Squeezed to thumbnails, a few more than the planted twins look alike.
    assert TRIGGERS <= len(dealt) <= POOL - POOL // 10
    assert f"after {len(dealt)} triggers; {POOL - len(dealt)} left out" in str(raised.value)
    assert len({trigger.canonical_bytes for trigger in dealt}) == len(dealt)


@pytest.mark.parametrize(("name", "geometry"), FINITE_CASES)
def test_two_keys_from_one_pool_do_not_disturb_each_other(name, geometry):
    sampler = new_sampler(name, geometry)
    one, other = sampler.deal(geometry), sampler.deal(geometry)
    for number in range(5):
        assert one(Stream("test", number)) == other(Stream("test", number))


@pytest.mark.parametrize(("name", "geometry"), CASES)
def test_no_randomness_comes_from_elsewhere(name, geometry, monkeypatch):
    make = maker(name, geometry)

    def refuse(*_args, **_options):
        raise AssertionError("a sampler draws from its stream only")

    for home in ("os.urandom", "random.random", "numpy.random.random", "numpy.random.default_rng"):
        monkeypatch.setattr(home, refuse)
    assert make(Stream("test", 0)) == made(name, geometry)[0]


@pytest.mark.parametrize(("name", "geometry"), CASES)
def test_no_two_triggers_are_nearly_alike(name, geometry):
    kind = kind_named(sampler_named(name).kind)
    first, second, distance = kind.nearest([trigger.canonical_bytes for trigger in made(name, geometry)])
    # Who draws without limit must leave keygen little to redraw; who deals leaves nothing.
    least = kind.too_near * (1 if finite(name) else 1.2)
    assert distance > least, f"triggers {first} and {second}"


@pytest.mark.parametrize(
    ("name", "geometry"),
    [case for case in UNLIMITED_CASES if isinstance(case.values[1], ImageGeometry)],
)
def test_every_picture_has_contrast(name, geometry):
    for number, trigger in enumerate(made(name, geometry)):
        over_space = trigger.value - trigger.value.mean(axis=(0, 1))  # (height, width, channels)
        assert np.sqrt(np.mean(over_space**2)) > LEAST_DEVIATION, f"trigger {number}"
