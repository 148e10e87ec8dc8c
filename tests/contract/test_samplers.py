"""What every sampler in the table promises; a new entry is tested here by being in the table."""

import inspect
from functools import cache

import numpy as np
import pytest

from earmark.commitment import Stream
from earmark.commitment.canonical import canonical_json, parse_canonical_json
from earmark.triggers import SAMPLERS, Trigger, kind_named, sampler_named
from earmark.triggers.image import ImageGeometry

GEOMETRIES = {
    "image": (
        ImageGeometry(8, 8, 1),
        ImageGeometry(28, 28, 1),
        ImageGeometry(32, 32, 3),
        ImageGeometry(12, 30, 3),
        ImageGeometry(65, 24, 1),
    ),
}
CASES = [
    pytest.param(name, geometry, id=f"{name}-{geometry}")
    for name in SAMPLERS
    for geometry in GEOMETRIES[sampler_named(name).kind]
]
TRIGGERS = 100
# A picture in two equal halves at 78 and 178 deviates by 50; a photograph by 50 to 70.
LEAST_DEVIATION = 45


@cache
def made(name, geometry) -> tuple[Trigger, ...]:
    sampler = sampler_named(name)()
    return tuple(sampler.sample(geometry, Stream("test", number)) for number in range(TRIGGERS))


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_sampler_is_named_as_in_the_table_and_its_parameters_are_public_json(name):
    sampler = sampler_named(name)()
    assert sampler.name == name
    assert kind_named(sampler.kind).name == sampler.kind
    parameters = sampler.parameters()
    assert isinstance(parameters, dict)
    assert parse_canonical_json(canonical_json(parameters), "parameters") == parameters


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_sampler_is_a_frozen_value(name):
    factory = sampler_named(name)
    assert factory() == factory()
    assert hash(factory()) == hash(factory())
    assert list(inspect.signature(factory().sample).parameters) == ["geometry", "randomness"]


@pytest.mark.parametrize(("name", "geometry"), CASES)
def test_triggers_fit_their_geometry_and_their_bytes_decode(name, geometry):
    kind = kind_named(sampler_named(name).kind)
    for trigger in made(name, geometry):
        assert trigger.kind == kind.name
        assert kind.fits(trigger.canonical_bytes, geometry)
        assert kind.encode(trigger.value) == trigger.canonical_bytes


@pytest.mark.parametrize(("name", "geometry"), CASES)
def test_the_same_stream_makes_the_same_trigger_whatever_was_made_before(name, geometry):
    again = sampler_named(name)().sample(geometry, Stream("test", 7))
    assert again == made(name, geometry)[7]


@pytest.mark.parametrize(("name", "geometry"), CASES)
def test_no_randomness_comes_from_elsewhere(name, geometry, monkeypatch):
    def refuse(*_args, **_options):
        raise AssertionError("a sampler draws from its stream only")

    for home in ("os.urandom", "random.random", "numpy.random.random", "numpy.random.default_rng"):
        monkeypatch.setattr(home, refuse)
    assert sampler_named(name)().sample(geometry, Stream("test", 3)) == made(name, geometry)[3]


@pytest.mark.parametrize(("name", "geometry"), CASES)
def test_no_two_triggers_are_nearly_alike(name, geometry):
    kind = kind_named(sampler_named(name).kind)
    first, second, distance = kind.nearest([trigger.canonical_bytes for trigger in made(name, geometry)])
    assert distance > 1.2 * kind.too_near, f"triggers {first} and {second}"


@pytest.mark.parametrize(
    ("name", "geometry"), [case for case in CASES if isinstance(case.values[1], ImageGeometry)]
)
def test_every_picture_has_contrast(name, geometry):
    for number, trigger in enumerate(made(name, geometry)):
        over_space = trigger.value - trigger.value.mean(axis=(0, 1))  # (height, width, channels)
        assert np.sqrt(np.mean(over_space**2)) > LEAST_DEVIATION, f"trigger {number}"
