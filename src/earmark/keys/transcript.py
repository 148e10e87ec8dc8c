"""The transcript: everything that must be fixed before any label is known. Its hash is the root.

Version 1 has a place for every capability from the start; what is absent is an explicit null, and
unknown fields are refused (docs/formats/transcript-v1.md).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from earmark.commitment import digest
from earmark.commitment.canonical import Json, canonical_json, parse_canonical_json
from earmark.commitment.reading import Fields, hex_bytes, read_version
from earmark.errors import FormatError
from earmark.triggers import Geometry, kind_named

FORMAT = "earmark/transcript/v1"
ORDER_RULE = "shake256-fisher-yates/v1"
STRATUM_KINDS = (
    "abstract", "folder", "in-distribution", "mixtures", "negatives", "noise", "text", "rows", "audio"
)  # fmt: skip
CLASS_LIMIT = 1 << 16
TRIGGER_LIMIT = 1 << 20
NAME_LIMIT = 200
SIZE_LIMIT_BYTES = 16 << 20
# One text for each number, so that a temperature is neither "1.0" nor "NaN" nor 1e9 digits long.
_TEMPERATURE = re.compile(r"(?!0$)(0|[1-9][0-9]{0,5})(\.[0-9]{0,17}[1-9])?")


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose key it is.

    Attributes:
        name: 1 to 200 characters.
        public_key: Ed25519 public key, 32 bytes.
        rotation: None, or ``"signed-by-predecessor"``: a later key is the owner's if this one signs it.
    """

    name: str
    public_key: bytes
    rotation: str | None


@dataclass(frozen=True, slots=True)
class Task:
    """What is classified.

    Attributes:
        geometry: Kind and shape of the inputs.
        class_names: The classes in order, at least 2, all different.
    """

    geometry: Geometry
    class_names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Experiment:
    """What the null object is, and by which rules it is questioned.

    Attributes:
        preprocessing: None for the suspect's own release, or the preprocessing fixed for suspects that
            come without one, as the JSON of ``earmark.suspects.preprocessing``.
        mixture: (alpha, beta), the beta mixture of sequential verification.
        temperature: Decimal text above 0, without spare zeros, for suspects that answer with
            probabilities.
    """

    preprocessing: Json = None
    mixture: tuple[int, int] = (1, 1)
    temperature: str = "1"


@dataclass(frozen=True, slots=True)
class Stratum:
    """Trigger sets of one kind.

    Attributes:
        name: Unique among the strata, 1 to 200 characters.
        kind: One of ``STRATUM_KINDS``.
        sampler: Name of the sampler.
        parameters: Its public parameters.
        triggers_per_set: At least 1.
        set_roots: Merkle root of each set, at least one.
    """

    name: str
    kind: str
    sampler: str
    parameters: Mapping[str, Json]
    triggers_per_set: int
    set_roots: tuple[bytes, ...]


@dataclass(frozen=True)
class Transcript:
    """Everything that is hashed into the root.

    Attributes:
        owner: Whose key it is.
        task: What is classified.
        experiment: What is tested, and how.
        strata: The trigger sets, at least one stratum.
        nonce: 32 random bytes.
        commitment: ``{"scheme": "salted-sha256"}``, or the parameters of the linear scheme.
        labels: ``{"rule": "derived"}``, or chosen labels with the roots of their commitments.
        beacon: None, or chain and round rule.
        revival: None, or the committed revival procedure.
    """

    owner: Owner
    task: Task
    experiment: Experiment
    strata: tuple[Stratum, ...]
    nonce: bytes
    commitment: Mapping[str, Json]
    labels: Mapping[str, Json]
    beacon: Mapping[str, Json] | None = None
    revival: Mapping[str, Json] | None = None

    @property
    def class_count(self) -> int:
        """C."""
        return len(self.task.class_names)

    @cached_property
    def root(self) -> bytes:
        """Hash of the canonical transcript, 32 bytes: what labels derive from and the owner signs."""
        return digest(FORMAT, self.canonical_bytes)

    @cached_property
    def canonical_bytes(self) -> bytes:
        """The transcript as canonical JSON."""
        return canonical_json(self.to_json())

    def to_json(self) -> dict[str, Json]:
        """Return the transcript as a JSON value."""
        geometry = self.task.geometry
        alpha, beta = self.experiment.mixture
        return {
            "format": FORMAT,
            "owner": {
                "name": self.owner.name,
                "public_key": self.owner.public_key.hex(),
                "rotation": self.owner.rotation,
            },
            "task": {
                "kind": geometry.kind,
                "geometry": geometry.to_json(),
                "classes": list(self.task.class_names),
            },
            "experiment": {
                "preprocessing": self.experiment.preprocessing,
                "order": ORDER_RULE,
                "statistic": {
                    "mixture": {"alpha": alpha, "beta": beta},
                    "temperature": self.experiment.temperature,
                },
            },
            "strata": [
                {
                    "name": stratum.name,
                    "kind": stratum.kind,
                    "sampler": stratum.sampler,
                    "parameters": dict(stratum.parameters),
                    "set_count": len(stratum.set_roots),
                    "triggers_per_set": stratum.triggers_per_set,
                    "set_roots": [root.hex() for root in stratum.set_roots],
                }
                for stratum in self.strata
            ],
            "commitment": dict(self.commitment),
            "labels": dict(self.labels),
            "beacon": None if self.beacon is None else dict(self.beacon),
            "revival": None if self.revival is None else dict(self.revival),
            "nonce": self.nonce.hex(),
        }

    @classmethod
    def from_bytes(cls, data: bytes) -> "Transcript":
        """Read canonical bytes; see ``from_json``."""
        return cls.from_json(parse_canonical_json(data, "the transcript", SIZE_LIMIT_BYTES))

    @classmethod
    def from_json(cls, value: Any) -> "Transcript":
        """Read a transcript strictly.

        Args:
            value: A JSON value from a canonical file.

        Returns:
            The transcript; ``to_json`` gives the same value back.

        Raises:
            FormatError: A field is missing, unknown, of the wrong type or out of range.
            UnsupportedVersionError: It is another version's transcript.
        """
        read_version(value, FORMAT)
        fields = Fields(value, "transcript")
        fields.skip("format")
        transcript = cls(
            owner=_read_owner(fields.object("owner")),
            task=_read_task(fields.object("task")),
            experiment=_read_experiment(fields.object("experiment")),
            strata=_read_strata(fields),
            commitment=_read_commitment(fields.object("commitment")),
            labels=_read_labels(fields.object("labels")),
            beacon=_read_optional(fields, "beacon", ("chain", "round_rule")),
            revival=_read_optional(
                fields,
                "revival",
                ("code", "data", "head", "optimiser", "order", "schedule", "seed", "steps"),
            ),
            nonce=fields.hex("nonce", 32),
        )
        fields.finish()
        if transcript.task.geometry.kind != "image":
            if transcript.experiment.preprocessing is not None:
                raise FormatError(
                    "transcript: rows and recordings are read as they are: preprocessing is null"
                )
            if transcript.commitment["scheme"] == "sis":
                raise FormatError("transcript: linear commitments are to pictures only")
        roots = transcript.labels.get("roots")
        if isinstance(roots, list) and len(roots) != sum(len(s.set_roots) for s in transcript.strata):
            raise FormatError("transcript: chosen labels need one root for every trigger set")
        transcript._check_canonical_form()
        return transcript

    def _check_canonical_form(self) -> None:
        # Here and not only in from_bytes: a transcript may also come embedded in a larger file.
        try:
            size_bytes = len(self.canonical_bytes)
        except ValueError as error:
            raise FormatError(f"the transcript has no canonical form: {error}") from error
        if size_bytes > SIZE_LIMIT_BYTES:
            raise FormatError(f"the transcript is larger than {SIZE_LIMIT_BYTES} bytes")


def _read_owner(fields: Fields) -> Owner:
    owner = Owner(
        fields.text("name", NAME_LIMIT),
        fields.hex("public_key", 32),
        fields.choice("rotation", (None, "signed-by-predecessor")),
    )
    fields.finish()
    return owner


def _read_task(fields: Fields) -> Task:
    kind = kind_named(fields.text("kind", NAME_LIMIT))
    geometry = kind.geometry_from_json(fields.object("geometry").values)
    names = fields.list("classes", 2, CLASS_LIMIT)
    if not all(isinstance(name, str) and 0 < len(name) <= NAME_LIMIT for name in names):
        raise FormatError(f"task: class names are texts of 1 to {NAME_LIMIT} characters")
    if len(set(names)) != len(names):
        raise FormatError("task: two classes have the same name")
    fields.finish()
    return Task(geometry, tuple(names))


def _read_experiment(fields: Fields) -> Experiment:
    preprocessing = fields.take("preprocessing")
    if preprocessing is not None and not isinstance(preprocessing, dict):
        raise FormatError("experiment: preprocessing is null or an object")
    fields.choice("order", (ORDER_RULE,))
    statistic = fields.object("statistic")
    mixture = statistic.object("mixture")
    experiment = Experiment(
        preprocessing,
        (mixture.integer("alpha", 1, 1 << 16), mixture.integer("beta", 1, 1 << 16)),
        statistic.text("temperature", 32),
    )
    if not _TEMPERATURE.fullmatch(experiment.temperature):
        raise FormatError("experiment: temperature is not a decimal above 0 without spare zeros")
    for part in (mixture, statistic, fields):
        part.finish()
    return experiment


def _read_strata(fields: Fields) -> tuple[Stratum, ...]:
    strata = []
    for value in fields.list("strata", 1, 64):
        item = Fields(value, "stratum")
        roots = item.list("set_roots", 1, TRIGGER_LIMIT)
        if item.integer("set_count", 1, TRIGGER_LIMIT) != len(roots):
            raise FormatError("stratum: set_count is not the number of set_roots")
        strata.append(
            Stratum(
                item.text("name", NAME_LIMIT),
                item.choice("kind", STRATUM_KINDS) or "",
                item.text("sampler", NAME_LIMIT),
                dict(item.object("parameters").values),
                item.integer("triggers_per_set", 1, TRIGGER_LIMIT),
                tuple(hex_bytes(root, 32, "stratum: set_roots") for root in roots),
            )
        )
        item.finish()
    if len({stratum.name for stratum in strata}) != len(strata):
        raise FormatError("transcript: two strata have the same name")
    if sum(len(s.set_roots) * s.triggers_per_set for s in strata) > TRIGGER_LIMIT:
        raise FormatError(f"transcript: more than {TRIGGER_LIMIT} triggers")
    return tuple(strata)


def _read_commitment(fields: Fields) -> dict[str, Json]:
    scheme = fields.choice("scheme", ("salted-sha256", "sis"))
    if scheme == "sis":
        fields.integer("prime", 2, 1 << 32)
        fields.integer("rows", 1, 1 << 16)
        fields.integer("random_bytes", 1, 1 << 20)
        fields.hex("sidecar", 32)
    fields.finish()
    return dict(fields.values)


def _read_labels(fields: Fields) -> dict[str, Json]:
    if fields.choice("rule", ("derived", "chosen")) == "chosen":
        for root in fields.list("roots", 1, TRIGGER_LIMIT):
            hex_bytes(root, 32, "labels: roots")
    fields.finish()
    return dict(fields.values)


def _read_optional(fields: Fields, name: str, allowed: tuple[str, ...]) -> dict[str, Json] | None:
    value = fields.take(name)
    if value is None:
        return None
    item = Fields(value, name)
    if set(item.values) != set(allowed):
        raise FormatError(f"{name} has exactly the fields {', '.join(allowed)}, or is null")
    return dict(item.values)
