"""The printable page behind ``--report``: one file that fetches nothing and runs nothing.

Class names, suspect names and file names are foreign and may be hostile. They are escaped by the template
engine, unprintable characters are spelled out, and a content security policy in the page forbids scripts,
requests and every style but the page's own, should an escape ever be forgotten.
"""

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from earmark.keys import MarkingKey
from earmark.reports import statements
from earmark.reports.exhibits import Group, group_by_set, shortened_classes
from earmark.reports.explanation import (
    Outcome,
    claim_bound,
    explain,
    miss_reasons,
    needed_words,
    penalty_bits,
    penalty_reason,
)
from earmark.reports.scale import NARROW, WIDE, draw_scale, scale_text
from earmark.reports.wording import bits, counted, odds, plausible_matches, power_of_two, visible
from earmark.statistics import OWNED_BITS
from earmark.verification import Verdict

_DIGEST = re.compile(r"\b(?:sha256:)?[0-9a-f]{64}\b")
_POWER = re.compile(r"\b(2|10)\^(-?)(\d+(?:\.\d+)?)")
_OUTCOME_SIGNS = {
    Outcome.HOLDS: "✓",
    Outcome.DONE: "✓",
    Outcome.RECORDED: "!",
    Outcome.ATTESTED: "!",
    Outcome.NOT_MET: "✗",
}
_DENSE_FROM = 200
_FEW = 30
_SHORT_ROOT = 16


@dataclass(frozen=True)
class ReportContext:
    """What a report says beside the verdict.

    Attributes:
        made_at: When, with a time zone; the page shows it in UTC.
        earmark_version: Of this package.
        environment: Names to versions: Python, libraries, operating system.
        command: The command line that was run, without secrets.
        clean_accuracy: How well the suspect does on clean data and how that was measured, in words.
        warnings: What the reader must know, one sentence or more each.
        file_digests: File names to digests of what was read, e.g. ``"sha256:…"``.
        is_claim: Whether the page goes into a claim, so that its triggers are no secret any more.
        check: The steps of checking a claim, for the page of whoever checked it; empty for other pages.
    """

    made_at: datetime
    earmark_version: str
    environment: Mapping[str, str]
    command: str
    clean_accuracy: str | None = None
    warnings: tuple[str, ...] = ()
    file_digests: Mapping[str, str] = field(default_factory=dict)
    is_claim: bool = False
    check: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.made_at.utcoffset() is None:
            raise ValueError("made_at needs a time zone: a report without one says no definite time")


def render_verdict(
    verdict: Verdict, key: MarkingKey, context: ReportContext, *, include_triggers: bool = True
) -> str:
    """Return the report as one HTML page.

    Args:
        verdict: What ``verify`` returned.
        key: The key it is about; its triggers are shown.
        context: Time, versions, command, warnings.
        include_triggers: False leaves out every trigger, and every label and answer of a single trigger:
            for readers who may not hold the key.

    Returns:
        The page; write it as UTF-8, and as a secret file if it includes triggers.

    Raises:
        ValueError: The verdict is about another key.
    """
    if key.transcript.root != verdict.measurement.verification_key.transcript.root:
        raise ValueError("the verdict is about another key")
    environment = environment_of_templates()
    style = environment.get_template("verdict.css.j2").render(
        short_root=key.transcript.root.hex()[:_SHORT_ROOT],
        include_triggers=include_triggers and not (context.is_claim or context.check),
    )
    groups = group_by_set(verdict, key, include_triggers=include_triggers)
    page = environment.get_template("verdict.html.j2").render(
        style=Markup(style),  # noqa: S704 - our own file and hexadecimal digits
        style_digest=base64.b64encode(hashlib.sha256(style.encode()).digest()).decode("ascii"),
        context=context,
        made_at=context.made_at.astimezone(UTC),
        include_triggers=include_triggers,
        groups=groups,
        few=_few(groups),
        has_reduced=any(item.shown.is_reduced for group in groups for item in group.items),
        dense=verdict.measurement.question_count > _DENSE_FROM,
        **_facts(verdict, include_triggers=include_triggers),
    )
    return str(page)


def _facts(verdict: Verdict, *, include_triggers: bool) -> dict[str, object]:
    measured = verdict.measurement
    transcript = measured.verification_key.transcript
    return {
        "verdict": verdict,
        "needed": needed_words(verdict),
        "measured": measured,
        "transcript": transcript,
        "timestamps": measured.verification_key.timestamps,
        "signature": measured.verification_key.signature,
        "fingerprint": hashlib.sha256(transcript.owner.public_key).hexdigest(),
        "asked_sets": {question.set_id for question in measured.questions},
        "statements": statements,
        "limits": statements.limits(verdict, include_triggers=include_triggers),
        "steps": explain(verdict),
        "signs": _OUTCOME_SIGNS,
        "scales": {"wide": draw_scale(verdict, WIDE), "narrow": draw_scale(verdict, NARROW)},
        "scale_text": scale_text(verdict),
        "plausible": plausible_matches(measured.question_count, verdict.chance),
        "bound": claim_bound(verdict),
        "penalty_bits": penalty_bits(verdict),
        "owned_bits": OWNED_BITS,
        "miss_reasons": miss_reasons(verdict),
        "shortened": shortened_classes(verdict) if include_triggers else [],
    }


def environment_of_templates() -> Environment:
    """Return the engine of all pages: everything is escaped, and nothing unprintable stays."""
    environment = Environment(
        loader=PackageLoader("earmark.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_spelled_out,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(
        bits=bits,
        penalty_reason=penalty_reason,
        counted=counted,
        odds=odds,
        power_of_two=power_of_two,
        powers=_powers,
    )
    return environment


def _few(groups: tuple[Group, ...]) -> str:
    """Return the numbers of all misses or of all matches, if they are few enough to be looked up."""
    for matches, word in ((False, "Misses"), (True, "Matches")):
        numbers = [str(number) for group in groups for number, sign in group.signs if sign is matches]
        if 0 < len(numbers) <= _FEW:
            return f"{word}: {'No.' if len(numbers) == 1 else 'Nos.'} {', '.join(numbers)}."
    return ""


def _spelled_out(value: object) -> object:
    """Return texts without unprintable characters: whatever a template forgets is still harmless."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _powers(text: str) -> Markup:
    """Return a text with ``2^-305`` set as a power, and digests in their own type.

    The caret stays, unseen, for copying and for screen readers.
    """

    def raised(found: re.Match[str]) -> str:
        radix, sign, exponent = found.groups()
        minus = "−" if sign else ""
        return f'<span class="power">{radix}<sup><span class="caret">^</span>{minus}{exponent}</sup></span>'

    powers = _POWER.sub(raised, str(escape(visible(text))))
    return Markup(_DIGEST.sub(r"<code>\g<0></code>", powers))  # noqa: S704 - escaped before
