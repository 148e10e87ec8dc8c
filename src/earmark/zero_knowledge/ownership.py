"""What a checker derives by himself, from the public key file, the commitments and the suspect's file.

Nothing of it comes out of a proof but which sets it is about: the network is converted anew from the
suspect's bytes, its preprocessing is that of its own release or of the transcript, the labels follow from the
root of the key, and the number that is needed follows from the verdict's threshold, once the choice of the
sets and of a proof is paid for. The prover does the very same.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from earmark.commitment import frame
from earmark.commitment.canonical import canonical_json
from earmark.errors import FormatError, InvalidKeyError, ProofError
from earmark.fields.compiling import Words
from earmark.keys import MarkingKey, SetId, VerificationKey
from earmark.models.preprocessing import Preprocessing
from earmark.statistics import OWNED_BITS, Penalty, adjusted_tail, fewest_matches, match_tail, strength_bits
from earmark.suspects.contained import ContainedSuspect
from earmark.triggers.image import ImageGeometry
from earmark.verification import FIXED, Measurement
from earmark.verification.label_maps import AUTO, FixedMap, label_map_for
from earmark.verification.measurement import METHOD_CHOICES
from earmark.verification.verdict import penalties
from earmark.zero_knowledge.network import IntegerNetwork, infer
from earmark.zero_knowledge.onnx_graph import integer_network
from earmark.zero_knowledge.prover import Openings
from earmark.zero_knowledge.quantiser import CALIBRATION_SEED
from earmark.zero_knowledge.sealing import expected_bytes
from earmark.zero_knowledge.statement import Layout, Statement, soundness_bits

_CONTEXT_LABEL = "earmark/ownership-context/v1"
METHODS_OF_A_PROOF = Penalty(
    "methods of a claim, or a proof",
    METHOD_CHOICES,
    "whether a claim by one of its methods was tried in its place, only the owner's journal could show",
)
# Two cores of 2026, by benchmarks/proof_growth.py: so many at least, and so many for each committed value.
_SECONDS_AT_LEAST, _SECONDS_PER_VALUE = 1.5, 2.1e-7


@dataclass(frozen=True, eq=False)
class OwnershipClaim:
    """What a proof would show, and what that is worth.

    Attributes:
        statement: What is proven.
        verification_key: Whose key it is about.
        set_ids: The sets that it is about, in the order of the key.
        suspect_name: In words.
        suspect_identity: ``"sha256:…"`` of its file.
        preprocessing: In words.
        label_map: How its classes are read, in words.
        chance: Of one match, for a model that does not depend on the key.
        penalties: Every freedom that is paid for.
    """

    statement: Statement
    verification_key: VerificationKey
    set_ids: tuple[SetId, ...]
    suspect_name: str
    suspect_identity: str
    preprocessing: str
    label_map: str
    chance: Fraction
    penalties: tuple[Penalty, ...]

    @property
    def expected_seconds(self) -> float:
        """About how long a proof takes."""
        return _SECONDS_AT_LEAST + _SECONDS_PER_VALUE * self._committed_values

    @property
    def expected_bytes(self) -> int:
        """About how much memory that takes."""
        return expected_bytes(Layout(self.statement))

    @property
    def soundness_bits(self) -> float:
        """-log2 of a cheat's chance for each hash that he computes (docs/mathematics/zero-knowledge.md)."""
        return soundness_bits(Layout(self.statement))

    @property
    def _committed_values(self) -> int:
        layout = Layout(self.statement)
        return (layout.first_rows + layout.second_rows) * layout.degree_bound

    @property
    def tail(self) -> Fraction:
        """Exact chance of as many matches as are needed, for a model that does not depend on the key."""
        return match_tail(self.statement.input_count, self.statement.needed, self.chance)

    @property
    def strength_bits(self) -> float:
        """-log2 of the tail, for display."""
        return strength_bits(self.tail)

    @property
    def claim_bits(self) -> float:
        """The same after all penalties."""
        return strength_bits(adjusted_tail(self.tail, self.penalties))


def claim_about(
    key: VerificationKey,
    commitments: Words,
    suspect: ContainedSuspect,
    data: bytes,
    set_ids: Sequence[SetId],
) -> OwnershipClaim:
    """Derive the statement about a suspect and some sets of a key.

    Args:
        key: The public key file.
        commitments: uint32 ``(n, 320)`` of all sets, as read beside it.
        suspect: The ONNX file as a suspect: says how its inputs and classes are read.
        data: The bytes of the same file.
        set_ids: The sets that the proof is about, in the order of the key. A choice of them is paid for as
            ``earmark.verification`` has it: by the number of runs of neighbouring sets.

    Returns:
        The claim: at least k* of all triggers of these sets are answered with their label.

    Raises:
        InvalidKeyError: The labels of the key were chosen.
        FormatError: The network, or how its inputs are made, cannot be proven about.
        VerificationError: Nothing says what the suspect's classes mean.
        ProofError: Step 0: the sets have too few triggers to show anything.
        ValueError: The sets are not sets of the key in their order, each once; or there are none.
    """
    if f"sha256:{hashlib.sha256(data).hexdigest()}" != suspect.identity:
        raise FormatError("the suspect's file changed while it was read")
    transcript = key.transcript
    if transcript.labels["rule"] != "derived":
        raise InvalidKeyError("the owner of this key chose its labels: nothing is proven about them")
    geometry = transcript.task.geometry
    if not isinstance(geometry, ImageGeometry):
        raise FormatError("proofs are about pictures only")
    rows = _rows(key, set_ids)
    scale, shift = affine(suspect.reads, geometry)
    names = transcript.task.class_names
    label_map = label_map_for(AUTO, names, suspect.class_names, suspect.class_count)
    if not isinstance(label_map, FixedMap):
        raise AssertionError("the map that the suspect states is fixed")
    paid, chance = _prices(key, suspect, label_map, set_ids), Fraction(1, transcript.class_count)
    limit = 1 / adjusted_tail(Fraction(2**OWNED_BITS), paid)
    needed = fewest_matches(len(rows), chance, limit)
    if needed is None:
        raise ProofError(0, f"the {len(rows)} triggers of the sets it is about are too few to show anything")
    labels = [label_map.places.index(label) for set_id in set_ids for label in key.labels(set_id)]
    shape = (suspect.reads.channels, geometry.height, geometry.width)
    network = integer_network(data, shape, scale, shift)
    if network.class_count != suspect.class_count:
        raise FormatError("the network does not have as many scores as the suspect has classes")
    statement = Statement(
        network,
        commitments[rows],
        np.array(labels, np.int64),
        needed,
        context_of(key, suspect, label_map),
    )
    return OwnershipClaim(
        statement,
        key,
        tuple(set_ids),
        suspect.name,
        suspect.identity,
        suspect.preprocessing,
        label_map.name,
        chance,
        paid,
    )


def _rows(key: VerificationKey, set_ids: Sequence[SetId]) -> npt.NDArray[np.int64]:
    """Return which of all triggers of the key are those of some sets: ``(n,)``, counted through."""
    wanted = frozenset(set_ids)
    # Each once: a set named twice would count its matches twice.
    if not set_ids or [set_id for set_id in key.set_ids if set_id in wanted] != list(set_ids):
        raise ValueError("a proof is about sets of the key, in their order, each once, and at least one")
    counts = [key.transcript.strata[set_id.stratum].triggers_per_set for set_id in key.set_ids]
    return np.flatnonzero(np.repeat([set_id in wanted for set_id in key.set_ids], counts))


def context_of(key: VerificationKey, suspect: ContainedSuspect, label_map: FixedMap) -> bytes:
    """Return what else a proof is bound to, framed."""
    return frame(
        _CONTEXT_LABEL,
        key.transcript.root,
        key.signature,
        suspect.identity,
        canonical_json(suspect.reads.to_json()),
        label_map.identity,
        CALIBRATION_SEED,
    )


def affine(
    reads: Preprocessing, geometry: ImageGeometry
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return what a pixel is multiplied by and what is added, for each channel of the network.

    Args:
        reads: The suspect's preprocessing.
        geometry: Of the key's pictures.

    Returns:
        ``(channels,)`` twice: the network reads pixel * scale + shift.

    Raises:
        FormatError: Inputs are resized, converted or reordered before the network reads them.
    """
    size = (geometry.height, geometry.width)
    if reads.size not in (None, size):
        raise FormatError(f"the suspect resizes inputs to {reads.size}: no proof covers that")
    if reads.channels != geometry.channels:
        raise FormatError(f"the suspect converts inputs to {reads.channels} channels: no proof covers that")
    if reads.layout != "NCHW" or (reads.channel_order != "RGB" and reads.channels > 1):
        raise FormatError("the suspect reads channels in another order: no proof covers that")
    divisor = Fraction(reads.divisor)
    scale = [float(1 / (divisor * Fraction(std))) for std in reads.std]
    shift = [float(-Fraction(mean) / Fraction(std)) for mean, std in zip(reads.mean, reads.std, strict=True)]
    return np.array(scale), np.array(shift)


def openings_of(key: MarkingKey, set_ids: Sequence[SetId]) -> Openings:
    """Return what the owner of a provable key knows, in the order of its commitments.

    Args:
        key: The marking key.
        set_ids: Of which sets; as for ``claim_about``.

    Returns:
        Triggers and randomness of these sets.

    Raises:
        InvalidKeyError: The key's commitments are not linear.
    """
    if key.randomness is None:
        raise InvalidKeyError(
            "the commitments of this key are not linear: make a new one with 'earmark keygen --provable'"
        )
    values = [trigger.value.reshape(-1) for set_id in set_ids for trigger in key.triggers[set_id]]
    randomness = [np.frombuffer(item, np.uint8) for set_id in set_ids for item in key.randomness[set_id]]
    return Openings(np.stack(values), np.stack(randomness))


def agreement(
    network: IntegerNetwork, suspect: ContainedSuspect, images: Sequence[npt.NDArray[np.uint8]]
) -> int:
    """Count on how many pictures the integer network and the original answer alike.

    Args:
        network: Of the claim's statement.
        suspect: The original.
        images: uint8 (height, width, channels) each, of the key's geometry.

    Returns:
        How many.
    """
    found = infer(network, np.stack([image.reshape(-1) for image in images])).scores.argmax(axis=1)
    return sum(int(own == answer) for own, answer in zip(found, suspect.answer(images), strict=True))


def _prices(
    key: VerificationKey, suspect: ContainedSuspect, label_map: FixedMap, set_ids: Sequence[SetId]
) -> tuple[Penalty, ...]:
    """Return the penalties of a verdict over these sets by the fixed rule, and that of choosing a proof."""
    measured = Measurement(
        key,
        suspect.name,
        suspect.identity,
        suspect.preprocessing,
        label_map.name,
        (),
        1,
        FIXED,
        suspect.class_count,
        tuple(set_ids),
        label_map.identity,
    )
    return (*penalties(measured), METHODS_OF_A_PROOF)
