"""What a trigger is, whatever kind of input the classifier takes.

A trigger is its canonical bytes: they are committed to, opened, and turned into what a model reads. A
*kind* says how bytes and values belong together; a *sampler* makes new triggers of a kind from a stream
of random bytes.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from earmark.commitment import Stream
from earmark.commitment.canonical import Json


@dataclass(frozen=True, slots=True)
class Exhibit:
    """A trigger as it is shown to a person.

    Attributes:
        media_type: ``image/png``, ``audio/wav`` or ``text/plain; charset=utf-8``.
        data: The bytes of that type.
        suffix: File name ending with the dot.
    """

    media_type: str
    data: bytes
    suffix: str


@dataclass(frozen=True, slots=True)
class Trigger:
    """One input that the marked model answers with a label of the owner's.

    Attributes:
        kind: Name of the kind, e.g. ``"image"``.
        canonical_bytes: The one byte string of this input, as committed to.
    """

    kind: str
    canonical_bytes: bytes

    @property
    def value(self) -> Any:
        """The input itself, e.g. uint8 pixels ``(height, width, channels)``; FormatError if malformed."""
        from earmark.triggers.tables import kind_named

        return kind_named(self.kind).value(self.canonical_bytes)

    def show(self, geometry: "Geometry | None" = None) -> Exhibit:
        """Return the trigger in a form for people, by its task's geometry if given.

        Raises:
            FormatError: It is malformed.
        """
        from earmark.triggers.tables import kind_named

        return kind_named(self.kind).show(self.canonical_bytes, geometry)


class Geometry(Protocol):
    """The shape of a kind's inputs, as the transcript states it."""

    @property
    def kind(self) -> str:
        """Name of the kind."""
        ...

    def to_json(self) -> dict[str, Json]:
        """Return the geometry as the transcript's ``task.geometry``."""
        ...

    def __str__(self) -> str:
        """Return the geometry as the command line writes it, e.g. ``image:32x32x3``."""
        ...


class Kind(Protocol):
    """How one kind of input is encoded, decoded, shown and compared."""

    name: str

    def geometry_from_json(self, fields: Mapping[str, Any]) -> Geometry:
        """Read ``task.geometry``; FormatError if it is malformed."""
        ...

    def geometry_from_text(self, text: str) -> Geometry:
        """Read what follows ``KIND:`` on the command line; ValueError if it is malformed."""
        ...

    def value(self, canonical_bytes: bytes) -> Any:
        """Return the input; FormatError if the bytes are malformed."""
        ...

    def encode(self, value: Any) -> bytes:
        """Return the canonical bytes of an input; ValueError if it is not of this kind."""
        ...

    def fits(self, canonical_bytes: bytes, geometry: Geometry) -> bool:
        """Say whether the input has this geometry; FormatError if the bytes are malformed."""
        ...

    def show(self, canonical_bytes: bytes, geometry: Geometry | None = None) -> Exhibit:
        """Return the input in a form for people; a geometry may say what its parts stand for."""
        ...

    def nearest(self, canonical_bytes: Sequence[bytes]) -> tuple[int, int, float]:
        """Return the two most similar inputs' places and their distance (at least two inputs).

        The distance is 0 for equal inputs and is comparable with ``too_near``.
        """
        ...

    @property
    def too_near(self) -> float:
        """Distance at which two triggers count as nearly alike."""
        ...


class Sampler(Protocol):
    """SampleBackdoor's first half: makes trigger inputs. One frozen value per configuration."""

    @property
    def name(self) -> str:
        """Name in the table of samplers."""
        ...

    @property
    def kind(self) -> str:
        """Kind of the triggers it makes."""
        ...

    def parameters(self) -> dict[str, Json]:
        """Return the public parameters, for the transcript."""
        ...

    def sample(self, geometry: Geometry, randomness: Stream) -> Trigger:
        """Make one trigger. All of its randomness comes from the stream: same stream, same trigger."""
        ...


@runtime_checkable
class FiniteSampler(Sampler, Protocol):
    """A sampler that takes its triggers from a pool and can therefore come to an end."""

    def deal(self, geometry: Geometry) -> Callable[[Stream], Trigger]:
        """Return a function that makes one trigger from each stream, none twice or nearly alike.

        It is for one key: with the same streams in the same order it makes the same triggers. The first of
        them is what ``sample`` makes. It raises SimilarTriggersError when the pool is used up.
        """
        ...


@dataclass(frozen=True, slots=True)
class Backdoor:
    """b = (T, T_L): triggers and the labels that the marked model is to give them.

    Attributes:
        triggers: T, in order, all of one kind.
        labels: T_L, one class per trigger, 0 to class_count - 1.
        class_count: Number of classes of the task, at least 2.
    """

    triggers: tuple[Trigger, ...]
    labels: tuple[int, ...]
    class_count: int

    def __post_init__(self) -> None:
        if not self.triggers:
            raise ValueError("a backdoor needs at least one trigger")
        if len(self.triggers) != len(self.labels):
            raise ValueError(f"{len(self.triggers)} triggers but {len(self.labels)} labels")
        if len({trigger.kind for trigger in self.triggers}) != 1:
            raise ValueError("all triggers of a backdoor must be of one kind")
        if self.class_count < 2:
            raise ValueError(f"a classifier has at least 2 classes, not {self.class_count}")
        if not all(0 <= label < self.class_count for label in self.labels):
            raise ValueError(f"labels must lie in 0 to {self.class_count - 1}")

    def __len__(self) -> int:
        return len(self.triggers)

    def without(self, places: Collection[int]) -> "Backdoor":
        """Return it without the triggers in these places.

        Raises:
            ValueError: None would be left.
        """
        if not places:
            return self
        left = sorted(set(range(len(self))) - set(places))
        return Backdoor(
            tuple(self.triggers[place] for place in left),
            tuple(self.labels[place] for place in left),
            self.class_count,
        )
