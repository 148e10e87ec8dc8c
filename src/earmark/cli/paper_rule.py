"""``earmark verify --rule paper``: the paper's own Verify, for comparison; never exit code 0."""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from earmark.cli.output import Output

if TYPE_CHECKING:
    from earmark.formats.journal_v1 import Journal
    from earmark.keys import MarkingKey, VerificationKey
    from earmark.suspects import Suspect
    from earmark.verification.paper_rule import GroundTruth, PaperVerdict

FORMAT = "earmark/paper-verdict/v1"


@dataclass(frozen=True)
class PaperOptions:
    """The options that go with ``--rule paper``.

    Attributes:
        epsilon: Share of triggers that may miss, as a decimal text; given explicitly.
        ground_truth: A table of true classes, or None.
        attested_by: Who attests that no label is a trigger's true class, or None.
    """

    epsilon: str | None
    ground_truth: Path | None
    attested_by: str | None

    def check(self, others: Iterable[str]) -> None:
        """Raise ValueError unless the options are what the rule needs.

        Args:
            others: Options that were given and are for the exact rule alone.
        """
        without_use = ", ".join(others)
        if without_use:
            raise ValueError(f"--rule paper has no use for {without_use}: leave out what it would ignore")
        if self.epsilon is None:
            raise ValueError("--rule paper needs --epsilon, the share of triggers that may miss, e.g. 0.06")
        if (self.ground_truth is None) == (self.attested_by is None):
            raise ValueError(
                "--rule paper needs the ground truth: --ground-truth FILE, or --attested-wrong-by NAME for a "
                "person who attests that no trigger's label is its true class"
            )
        _fraction(self.epsilon)
        if self.attested_by is not None:
            from earmark.verification.paper_rule import check_name

            check_name(self.attested_by)

    def is_given(self) -> bool:
        """Say whether any of them is given."""
        return any(value is not None for value in (self.epsilon, self.ground_truth, self.attested_by))


def judge_by_paper(
    key: "MarkingKey",
    suspect: "Suspect",
    journal: "Journal",
    verification_key: "VerificationKey | None",
    options: PaperOptions,
    output: Output,
) -> None:
    """Question a suspect, judge it by the paper's rule and say so."""
    from earmark.verification.paper_rule import verify_by_paper

    with output.progress("questioning") as on_progress:
        verdict = verify_by_paper(
            key,
            suspect,
            journal,
            epsilon=_fraction(options.epsilon or ""),
            ground_truth=_ground_truth(options, key),
            verification_key=verification_key,
            on_answer=lambda done: on_progress(done, key.trigger_count),
        )
    output.result(str(verdict), _facts(verdict))


def _fraction(text: str) -> Fraction:
    try:
        return Fraction(text)
    except (ValueError, ZeroDivisionError) as error:
        raise ValueError(f"--epsilon is a number such as 0.06, not {text!r}") from error


def _ground_truth(options: PaperOptions, key: "MarkingKey") -> "GroundTruth":
    from earmark.files import read_bounded, shown
    from earmark.formats import ground_truth_v1
    from earmark.verification.paper_rule import GroundTruth

    if options.ground_truth is None:
        return GroundTruth(options.attested_by or "")
    data = read_bounded(options.ground_truth, ground_truth_v1.SIZE_LIMIT_BYTES, "ground truth")
    return GroundTruth(
        shown(Path(options.ground_truth.name))[:200], ground_truth_v1.read(data, key.verification_key)
    )


def _facts(verdict: "PaperVerdict") -> dict[str, Any]:
    from earmark.verification.paper_rule import WHY_NOT_ALONE

    return {
        "format": FORMAT,
        "accepted": verdict.accepted,
        "refused_by_step": verdict.refused_by,
        "owned": False,
        "why_not_owned": WHY_NOT_ALONE,
        "matches": verdict.match_count,
        "questions": len(verdict.questions),
        "allowed_misses": verdict.allowed_miss_count,
        "epsilon": [verdict.epsilon.numerator, verdict.epsilon.denominator],
        "right_labels": len(verdict.right_labels),
        "ground_truth_by": verdict.ground_truth.stated_by,
        "ground_truth_kind": "attestation" if verdict.ground_truth.classes is None else "file",
        "labels": verdict.verification_key.transcript.labels["rule"],
        "suspect": {"name": verdict.suspect_name, "identity": verdict.suspect_identity},
        "root": verdict.verification_key.transcript.root.hex(),
    }
