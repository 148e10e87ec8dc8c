"""From canonical inputs to what a network reads: part of the object under test.

A verdict is about the suspect *with* its preprocessing. Whoever may tune that after seeing the labels
tunes the answers: adjusting mean and standard deviation of a random network raised 11 matches of 100 to
34. So it comes from the suspect's own release, or was fixed in the transcript, or is picked from the
enumerated catalogue below, and then the size of the catalogue is paid for.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from earmark.commitment.canonical import Json
from earmark.commitment.reading import Fields
from earmark.errors import FormatError
from earmark.models.columns import Column

ROWS, AUDIO, TEXT = "rows", "audio", "text"
_WORDS = {ROWS: "rows", AUDIO: "recordings", TEXT: "texts"}
_SIDE_LIMIT = 4096
_FILTERS = {"nearest": 0, "bilinear": 2, "bicubic": 3, "lanczos": 1}  # PIL's numbers


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """How uint8 pixels become a network's input: resize, channels, divide, subtract mean, divide by std.

    All numbers are decimal texts, so that the same preprocessing is always the same bytes.

    Attributes:
        divisor: What pixels 0 to 255 are divided by: ``"255"``, or ``"1"`` to leave them.
        mean: Subtracted per channel, after the division; one text for each channel.
        std: Divided by per channel, not zero.
        channels: Channels that the network reads, 1 or 3; grey and colour are converted.
        channel_order: ``"RGB"`` or ``"BGR"``.
        size: (height, width) that inputs are resized to, or None to leave them.
        interpolation: ``"nearest"``, ``"bilinear"``, ``"bicubic"`` or ``"lanczos"``.
        layout: ``"NCHW"`` or ``"NHWC"``.
    """

    divisor: str = "255"
    mean: tuple[str, ...] = ("0", "0", "0")
    std: tuple[str, ...] = ("1", "1", "1")
    channels: int = 3
    channel_order: str = "RGB"
    size: tuple[int, int] | None = None
    interpolation: str = "bilinear"
    layout: str = "NCHW"

    def __post_init__(self) -> None:
        _check_numbers(self)
        for value, allowed in (
            (self.channel_order, ("RGB", "BGR")),
            (self.interpolation, tuple(_FILTERS)),
            (self.layout, ("NCHW", "NHWC")),
        ):
            if value not in allowed:
                raise ValueError(f"{value!r} is not one of {', '.join(allowed)}")
        if self.size is not None and not all(1 <= side <= _SIDE_LIMIT for side in self.size):
            raise ValueError(f"sides must be 1 to {_SIDE_LIMIT}, not {self.size}")

    def __call__(self, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Return what the network reads.

        Args:
            images: uint8 ``(batch, height, width, channels)``, channels 1 or 3.

        Returns:
            float32 ``(batch, channels, height, width)``, or ``(batch, height, width, channels)`` for NHWC.
        """
        if images.ndim != 4 or images.dtype != np.uint8:
            raise ValueError(f"expected uint8 (batch, height, width, channels), not {images.shape}")
        if self.size is not None and images.shape[1:3] != self.size:
            images = np.stack([_resized(image, self.size, self.interpolation) for image in images])
        if images.shape[3] != self.channels:
            images = _converted(images, self.channels)
        if self.channel_order == "BGR":
            images = images[..., ::-1]
        scale = 1 / (np.array(self.std, np.float32) * np.float32(self.divisor))
        shift = -np.array(self.mean, np.float32) / np.array(self.std, np.float32)
        scaled = images.astype(np.float32) * scale + shift  # (batch, height, width, channels)
        if self.layout == "NHWC":
            return np.ascontiguousarray(scaled, np.float32)
        return np.ascontiguousarray(scaled.transpose(0, 3, 1, 2), np.float32)

    def to_json(self) -> dict[str, Json]:
        """Return the preprocessing as a JSON object without floats."""
        return {
            "divisor": self.divisor,
            "mean": list(self.mean),
            "std": list(self.std),
            "channels": self.channels,
            "channel_order": self.channel_order,
            "size": None if self.size is None else list(self.size),
            "interpolation": self.interpolation,
            "layout": self.layout,
        }

    @classmethod
    def from_json(cls, value: Any) -> "Preprocessing":
        """Read what ``to_json`` wrote; FormatError for anything else."""
        fields = Fields(value, "preprocessing")
        mean, std = fields.list("mean", 1, 3), fields.list("std", 1, 3)
        if not all(isinstance(text, str) for text in (*mean, *std)):
            raise FormatError("preprocessing: mean and std are decimal texts")
        size = fields.take("size")
        well_formed = isinstance(size, list) and len(size) == 2 and all(type(side) is int for side in size)
        if size is not None and not well_formed:
            raise FormatError("preprocessing: size is null or [height, width]")
        try:
            result = cls(
                divisor=fields.text("divisor", 32),
                mean=tuple(mean),
                std=tuple(std),
                channels=fields.integer("channels", 1, 3),
                channel_order=fields.text("channel_order", 8),
                size=None if size is None else (size[0], size[1]),
                interpolation=fields.text("interpolation", 16),
                layout=fields.text("layout", 8),
            )
        except ValueError as error:
            raise FormatError(f"preprocessing: {error}") from error
        fields.finish()
        return result

    def __str__(self) -> str:
        size = "as given" if self.size is None else f"resized to {self.size[0]}x{self.size[1]}"
        return (
            f"{size}, {self.channels} channel(s) {self.channel_order}, divided by {self.divisor}, "
            f"mean {' '.join(self.mean)}, std {' '.join(self.std)}, {self.layout}"
        )


@dataclass(frozen=True, slots=True)
class AsTheyAre:
    """What rows of tables, recordings and texts need: a model reads them as they are.

    There is nothing to tune, so nothing is paid for.

    Attributes:
        kind: ``"rows"``, ``"audio"`` or ``"text"``; which suspects can be asked depends on it.
        columns: Of rows, for services that are sent their names; empty if not known.
        samples: Of each recording; 0 if not known.
        rate: Samples a second, for services that are sent files; 0 if not known.
    """

    kind: str = ROWS
    columns: tuple[Column, ...] = ()
    samples: int = 0
    rate: int = 0

    def __post_init__(self) -> None:
        if self.kind not in _WORDS:
            raise ValueError(f"inputs are of kind {', '.join(_WORDS)}, not {self.kind!r}")

    @property
    def words(self) -> str:
        """What they are called: rows, recordings or texts."""
        return _WORDS[self.kind]

    @property
    def size(self) -> int:
        """How many numbers, or texts, one input is; 0 if not known."""
        return 1 if self.kind == TEXT else len(self.columns) or self.samples

    def __call__(self, inputs: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Return what the model reads.

        Args:
            inputs: Rows, float32 ``(batch, columns)``; or recordings, int16 ``(batch, samples)``.

        Returns:
            float32: rows as they are, samples divided by 32,768. Texts become numbers in the suspect alone.

        Raises:
            ValueError: They are neither.
        """
        if inputs.ndim == 2 and inputs.dtype == np.float32:
            return inputs
        if inputs.ndim == 2 and inputs.dtype == np.int16:
            return np.asarray(inputs, np.float32) / np.float32(32768)
        raise ValueError(
            f"expected float32 (batch, columns) or int16 (batch, samples), not {inputs.dtype} {inputs.shape}"
        )

    def __str__(self) -> str:
        return "as they are"


InputPreparation: TypeAlias = Preprocessing | AsTheyAre


def for_channels(channels: int) -> Preprocessing:
    """Return the plain preprocessing, pixels to [-1, 1], for networks that are trained here.

    Args:
        channels: 1 or 3.

    Returns:
        Division by 255, mean 0.5, standard deviation 0.5.
    """
    return Preprocessing(mean=("0.5",) * channels, std=("0.5",) * channels, channels=channels)


def catalogue(channels: int) -> Mapping[str, Preprocessing]:
    """Return the preprocessings that a checker may pick from when the release names none.

    The choice costs log2 of the catalogue's size, so it holds the ones that are in common use and no
    parameter to tune.

    Args:
        channels: Channels of the key's inputs, 1 or 3.

    Returns:
        Names to preprocessings; the same number of entries for grey and colour.
    """
    scalings: dict[str, tuple[str, tuple[str, ...], tuple[str, ...]]] = {
        "raw": ("1", ("0", "0", "0"), ("1", "1", "1")),
        "unit": ("255", ("0", "0", "0"), ("1", "1", "1")),
        "symmetric": ("255", ("0.5", "0.5", "0.5"), ("0.5", "0.5", "0.5")),
        "imagenet": ("255", ("0.485", "0.456", "0.406"), ("0.229", "0.224", "0.225")),
        "cifar10": ("255", ("0.4914", "0.4822", "0.4465"), ("0.2023", "0.1994", "0.2010")),
        "mnist": ("255", ("0.1307",) * 3, ("0.3081",) * 3),
        "clip": (
            "255",
            ("0.48145466", "0.4578275", "0.40821073"),
            ("0.26862954", "0.26130258", "0.27577711"),
        ),
        "caffe": ("1", ("103.939", "116.779", "123.68"), ("1", "1", "1")),
    }
    entries = {}
    for name, (divisor, mean, std) in scalings.items():
        for order in ("RGB", "BGR"):
            for layout in ("NCHW", "NHWC"):
                entries[f"{name}-{order.lower()}-{layout.lower()}"] = Preprocessing(
                    divisor, mean[:channels], std[:channels], channels, order, None, "bilinear", layout
                )
    return entries


def _check_numbers(preprocessing: Preprocessing) -> None:
    if preprocessing.channels not in (1, 3):
        raise ValueError(f"channels must be 1 or 3, not {preprocessing.channels}")
    if not len(preprocessing.mean) == len(preprocessing.std) == preprocessing.channels:
        raise ValueError("mean and std need one number for each channel")
    for text in (preprocessing.divisor, *preprocessing.mean, *preprocessing.std):
        if len(text) > 32:
            raise ValueError("numbers are decimal texts of at most 32 characters")
        try:
            number = Decimal(text)
        except ArithmeticError as error:
            raise ValueError(f"{text!r} is not a decimal number") from error
        if not number.is_finite() or abs(number) > 10**6:
            raise ValueError(f"{text} is not a number within ±10^6")
    if any(abs(Decimal(text)) < Decimal("1e-6") for text in (preprocessing.divisor, *preprocessing.std)):
        raise ValueError("divisor and std must not be zero")


def _resized(
    image: npt.NDArray[np.uint8], size: tuple[int, int], interpolation: str
) -> npt.NDArray[np.uint8]:
    height, width = size
    resample = Image.Resampling(_FILTERS[interpolation])
    picture = Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image)
    result = np.asarray(picture.resize((width, height), resample), np.uint8)
    return result.reshape(height, width, image.shape[2])


def _converted(images: npt.NDArray[np.uint8], channels: int) -> npt.NDArray[np.uint8]:
    if channels == 3:
        return np.repeat(images, 3, axis=3)
    # ITU-R 601, as PIL's convert("L") and most data pipelines do.
    weights = np.array([299, 587, 114], np.uint32)
    return ((images.astype(np.uint32) @ weights + 500) // 1000).astype(np.uint8)[..., None]
