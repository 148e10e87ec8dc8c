"""The sampler "audio": short pieces of no meaning, made of tones, sweeps and bursts of noise."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from earmark.commitment import Stream
from earmark.commitment.canonical import Json
from earmark.triggers.audio import AUDIO, AudioGeometry
from earmark.triggers.trigger import Geometry, Trigger

_SEED_BYTES = 16
_PEAK = 0.8 * 32767
_PARTS = (4, 9)  # sounds in a piece: at least, and fewer than
_LOWEST = 80.0  # Hz, or a fiftieth of the rate if that is lower

Samples = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class SoundSampler:
    """Makes sounds that are none of the task's: chords, sweeps and bursts, each with its own swell.

    The layout comes from 16 bytes of the stream (spread by Philox), and one byte for every sample is a
    faint hiss of its own: whoever guesses the layout does not know the samples. The same stream gives the
    same sound with the same numpy on processors with the same vector instructions; keys store the sounds.

    Source:
        ours
    """

    name: ClassVar[str] = "audio"
    kind: ClassVar[str] = "audio"

    def parameters(self) -> dict[str, Json]:
        """Return the version of the rules."""
        return {"version": 1}

    def sample(self, geometry: Geometry, randomness: Stream) -> Trigger:
        """Make one sound.

        Args:
            geometry: An AudioGeometry.
            randomness: Read for 16 bytes, then for one byte for every sample.

        Returns:
            A trigger whose value is int16 ``(samples,)``.

        Raises:
            ValueError: The geometry is not a recording's.
        """
        if not isinstance(geometry, AudioGeometry):
            raise ValueError(f"sounds need the geometry of a recording, not {geometry}")
        seed = int.from_bytes(randomness.read(_SEED_BYTES), "big")
        draws = np.random.Generator(np.random.Philox(key=seed))
        time = np.arange(geometry.samples) / geometry.rate
        piece = np.zeros(geometry.samples)
        for _ in range(draws.integers(*_PARTS)):
            part = (_chord, _sweep, _burst)[draws.integers(3)]
            piece += draws.uniform(0.3, 1) * part(time, geometry.rate, draws) * _swell(geometry, draws)
        hiss = np.frombuffer(randomness.read(geometry.samples), np.uint8).astype(np.float64) - 127.5
        loudest = max(1e-9, float(np.abs(piece).max()))
        samples = np.rint(_PEAK * piece / loudest + hiss)
        return Trigger(AUDIO.name, AUDIO.encode(samples.astype(np.int16), geometry.rate))


def _pitch(rate: int, draws: np.random.Generator) -> float:
    """Return a frequency, evenly over octaves, between the lowest and a third of the rate."""
    low, high = min(_LOWEST, rate / 50), rate / 3
    return float(low * (high / low) ** draws.random())


def _chord(time: Samples, rate: int, draws: np.random.Generator) -> Samples:
    base, sound = _pitch(rate, draws) / 2, np.zeros(len(time))
    for overtone in draws.permutation(7)[:3] + 1:
        if base * overtone < rate / 2:
            sound += draws.uniform(0.2, 1) * np.sin(2 * np.pi * (base * overtone * time + draws.random()))
    return sound


def _sweep(time: Samples, rate: int, draws: np.random.Generator) -> Samples:
    start, end = _pitch(rate, draws), _pitch(rate, draws)
    lasts = max(float(time[-1]), 1 / rate)
    turns = start * time + (end - start) * time**2 / (2 * lasts)
    swept: Samples = np.sin(2 * np.pi * (turns + draws.random()))
    return swept


def _burst(time: Samples, rate: int, draws: np.random.Generator) -> Samples:
    width = max(1, int(rate / _pitch(rate, draws)))
    noise = draws.normal(size=len(time) + width)
    smooth: Samples = np.convolve(noise, np.ones(width) / width**0.5, "valid")[: len(time)]
    return smooth


def _swell(geometry: AudioGeometry, draws: np.random.Generator) -> Samples:
    """Return a rise and fall somewhere in the piece."""
    places = np.arange(geometry.samples) / geometry.samples
    middle, width = draws.random(), draws.uniform(0.08, 0.4)
    swell: Samples = np.exp(-0.5 * ((places - middle) / width) ** 2)
    return swell
