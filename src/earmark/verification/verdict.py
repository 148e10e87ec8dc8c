"""verify(): steps 7 to 9. It judges what measure() counted."""

from dataclasses import dataclass
from fractions import Fraction
from math import comb

from earmark.errors import VerificationError
from earmark.statistics import (
    GRINDING_BITS,
    LOOKING_BITS,
    OWNED_BITS,
    Penalty,
    adjusted_tail,
    fewest_matches,
    fewest_matches_in_sequence,
    is_owned,
    map_count,
    match_tail,
    most_labels_per_output,
    sequential_evidence,
    strength_bits,
)
from earmark.verification.label_maps import BEST
from earmark.verification.measurement import FIXED, SEQUENTIAL, Measurement


@dataclass(frozen=True)
class Verdict:
    """The answer, with everything it rests on.

    Attributes:
        measurement: What was asked and answered.
        chance: Chance of one match for a model that does not depend on the key: 1/C; after a fitted map that
            sends m labels to one output, m/C.
        tail: Exact chance of at least as many matches; with a sequential statistic the bound on the chance
            of ever getting as far.
        penalties: Every freedom paid for.
        recorded_by: None if the verifier questioned the suspect; else where the answers were recorded.
        attested_by: Who attests to have put the recorded questions to the suspect in person.
        restored_layer: The owner's model whose last layer was put back on the suspect, or None.
    """

    measurement: Measurement
    chance: Fraction
    tail: Fraction
    penalties: tuple[Penalty, ...]
    recorded_by: str | None = None
    attested_by: str | None = None
    restored_layer: str | None = None

    @property
    def mark_shown(self) -> bool:
        """Whether the answers, if they are the suspect's, show the mark."""
        return is_owned(self.tail, self.penalties)

    @property
    def owned(self) -> bool:
        """The verdict: the mark is shown, and by questioning the suspect itself.

        Recorded answers say at best what they are consistent with: whoever wrote them could have written
        others. They count only for a person who attests to have put the questions. A layer that the owner
        put back could have been fitted to the labels, and a suspect with it is not what was handed in.
        """
        is_suspects_own = self.recorded_by is None or self.attested_by is not None
        return self.mark_shown and is_suspects_own and self.restored_layer is None

    @property
    def strength_bits(self) -> float:
        """-log2 of the chance, before penalties; for display."""
        return strength_bits(self.tail)

    @property
    def claim_bits(self) -> float:
        """-log2 of the bound after penalties; negative when it exceeds 1; for display."""
        return strength_bits(adjusted_tail(self.tail, self.penalties))

    @property
    def threshold(self) -> int | None:
        """Fewest matches of this many questions that show the mark under these penalties.

        None if no number does, or if the statistic weighs more than matches. With the sequential statistic
        it is the number that would do in the worst order.
        """
        measured = self.measurement
        needed = adjusted_tail(Fraction(2**OWNED_BITS), self.penalties)
        if measured.statistic == FIXED:
            return fewest_matches(measured.question_count, self.chance, 1 / needed)
        if measured.statistic == SEQUENTIAL:
            mixture = measured.verification_key.transcript.experiment.mixture
            return fewest_matches_in_sequence(measured.question_count, self.chance, needed, mixture)
        return None

    def __str__(self) -> str:
        if self.owned:
            word = "owned"
        elif self.mark_shown and self.restored_layer is not None:
            word = f"consistent with the last layer of {self.restored_layer} put back"
        elif self.mark_shown:
            word = f"consistent with the answers recorded in {self.recorded_by}"
        else:
            word = "not shown"
        measured = self.measurement
        return (
            f"{word}: {measured.match_count} of {measured.question_count} triggers; chance "
            f"{_power(self.strength_bits)} for a model that does not depend on this key, "
            f"{_power(self.claim_bits)} after penalties"
        )


def verify(
    measurement: Measurement,
    *,
    looks: int = 1,
    preprocessing_choices: int = 1,
    recorded_by: str | None = None,
    attested_by: str | None = None,
    restored_layer: str | None = None,
) -> Verdict:
    """Judge a measurement: steps 7 to 9.

    The chance is exact for every model that is independent of this key's labels, whatever the triggers
    and however unbalanced the answers. It does not say how the dependence came about.

    Args:
        measurement: What ``measure`` returned.
        looks: Suspects, keys and sets that were or might have been tried; at least 2^24 is always paid.
        preprocessing_choices: Preprocessings that the checker could pick from; 1 if the suspect's release
            or the transcript fixed it.
        recorded_by: Where the answers were recorded, if the program did not question the suspect itself.
        attested_by: Who attests to have put those questions to the suspect in person.
        restored_layer: The owner's model whose last layer was put back on the suspect; such a verdict never
            stands on its own.

    Returns:
        The verdict.

    Raises:
        VerificationError: Nothing was asked: an empty test would be vacuously true.
        ValueError: A number is below 1.

    Source:
        Adi et al. 2018, Section 4 (Verify), whose fixed tolerance this replaces
        (docs/mathematics/verdict.md)
    """
    if measurement.question_count == 0:
        raise VerificationError(7, "no question was asked")
    key = measurement.verification_key
    chance = Fraction(1, key.transcript.class_count)
    if measurement.label_map == BEST:
        chance *= most_labels_per_output(key.transcript.class_count, measurement.output_count)
    paid = penalties(measurement, looks=looks, preprocessing_choices=preprocessing_choices)
    if measurement.statistic == FIXED:
        tail = match_tail(measurement.question_count, measurement.match_count, chance)
    else:
        payoffs = [question.payoff for question in measurement.questions]
        tail = 1 / sequential_evidence(payoffs, key.transcript.experiment.mixture)
    return Verdict(measurement, chance, tail, paid, recorded_by, attested_by, restored_layer)


def penalties(
    measurement: Measurement, *, looks: int = 1, preprocessing_choices: int = 1
) -> tuple[Penalty, ...]:
    """Return what is paid for, whatever the answers.

    Args:
        measurement: What is judged; its questions play no part.
        looks: As for ``verify``.
        preprocessing_choices: As for ``verify``.

    Returns:
        The penalties; those that have no alternatives are left out.

    Raises:
        ValueError: A number is below 1.
    """
    if looks < 1 or preprocessing_choices < 1:
        raise ValueError("looks and preprocessing_choices must be at least 1")
    set_count = len(measurement.verification_key.set_ids)
    every = (
        Penalty(
            "grinding",
            2**GRINDING_BITS,
            "a claimant could have made up to 2^80 transcripts and kept the luckiest",
        ),
        Penalty(
            "looking",
            # With whom questioning begins and ends are looks too: so many runs of sets there are.
            max(2**LOOKING_BITS, looks, comb(set_count + 1, 2)),
            "suspects, keys and trigger sets that might have been tried",
        ),
        Penalty(
            "preprocessing",
            preprocessing_choices,
            "the checker picked the preprocessing from a catalogue of this size",
        ),
        Penalty(
            "revival",
            1 if measurement.verification_key.transcript.revival is None else 2,
            "the key commits a revival: the suspect could be asked as it is and revived",
        ),
        _methods(measurement.method_count),
        _sets(measurement.run_count, set_count),
        _label_map(measurement),
    )
    return tuple(penalty for penalty in every if penalty.alternatives > 1)


def _methods(count: int) -> Penalty:
    # Whoever tries method after method and stops at the first success has all of their chances. Paying k for
    # the k-th would let their sum grow without bound; 1/(k(k+1)) over all k from 2 sums to 1/2.
    return Penalty(
        "methods",
        1 if count == 1 else count * (count + 1),
        f"the journal shows {count} ways in which this suspect was questioned; the k-th pays k(k+1)",
    )


def _sets(run_count: int, set_count: int) -> Penalty:
    # A claimant who has a copy of the suspect can show the sets in which it does badly to somebody else.
    # There are comb(S + 1, 2r) ways to pick r runs of S sets; r is chosen as well, as with methods.
    return Penalty(
        "sets",
        1 if run_count <= 1 else comb(set_count + 1, 2 * run_count) * run_count * (run_count + 1),
        f"the sets asked are {run_count} runs among {set_count}: those between them were shown to others",
    )


def _label_map(measurement: Measurement) -> Penalty:
    is_fitted = measurement.label_map == BEST
    class_count = measurement.verification_key.transcript.class_count
    return Penalty(
        "label map",
        map_count(class_count, measurement.output_count) if is_fitted else 1,
        f"the map from labels to the suspect's {measurement.output_count} classes that matches most was "
        "chosen after the answers were known",
    )


def evidence_needed(measurement: Measurement, *, looks: int = 1, preprocessing_choices: int = 1) -> Fraction:
    """Return the evidence at which a sequential run shows the mark: what ``measure`` may stop at.

    Args:
        measurement: Before its first question.
        looks: As for ``verify``.
        preprocessing_choices: As for ``verify``.

    Returns:
        2^40 times all alternatives paid for.
    """
    paid = penalties(measurement, looks=looks, preprocessing_choices=preprocessing_choices)
    return adjusted_tail(Fraction(2**OWNED_BITS), paid)


def _power(bits: float) -> str:
    if bits < 0:
        return "no bound"
    return f"2^-{bits:.0f}" if bits >= 0.5 else f"{2**-bits:.0%}"
