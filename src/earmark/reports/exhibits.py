"""Triggers as they are shown to a person: small pictures or texts, with what was expected and given."""

import base64
import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from PIL import Image

from earmark.keys import MarkingKey, SetId
from earmark.reports.wording import visible
from earmark.suspects import Answer, Miss
from earmark.triggers import Exhibit
from earmark.verification import Question, Verdict

# Up to this size a picture is shown as it is; larger ones are reduced, or 512 of them would make a page
# that no mail server takes.
_EXACT_LIMIT_BYTES = 16 << 10
_REDUCED_SIDE = 128
_REDUCED_QUALITY = 85
_TEXT_LIMIT = 1200
_NAME_LIMIT = 28


@dataclass(frozen=True, slots=True)
class ShownTrigger:
    """What is shown of one trigger.

    Attributes:
        picture: A ``data:`` address, or None.
        text: The trigger itself as a text, or words on why it cannot be shown; None for a picture.
        is_reduced: Whether less is shown than there is.
        is_small: Whether single pixels should be seen.
    """

    picture: str | None = None
    text: str | None = None
    is_reduced: bool = False
    is_small: bool = False


@dataclass(frozen=True, slots=True)
class Item:
    """One question on the page.

    Attributes:
        number: In the order asked, over all sets, from 1.
        place: Place in the set, from 0 as in the key's files.
        matches: Whether the answer is the label.
        expected: The label, in words.
        given: The answer, in words; why there is none, if there is none.
        shown: The trigger.
    """

    number: int
    place: int
    matches: bool
    expected: str
    given: str
    shown: ShownTrigger


@dataclass(frozen=True, slots=True)
class Group:
    """The questions of one set, in the order asked.

    Attributes:
        title: Which set.
        match_count: Matches in the set.
        signs: For every question its number and whether it matches; says nothing of triggers or labels.
        items: The questions with their triggers; empty if triggers are left out.
    """

    title: str
    match_count: int
    signs: tuple[tuple[int, bool], ...]
    items: tuple[Item, ...]


def group_by_set(verdict: Verdict, key: MarkingKey, *, include_triggers: bool) -> tuple[Group, ...]:
    """Return all questions, set after set, in the order asked.

    Args:
        verdict: Whose questions.
        key: Holds the triggers.
        include_triggers: False for a page that shows neither triggers nor their labels.

    Returns:
        One group per set that was asked.
    """
    measured = verdict.measurement
    strata = measured.verification_key.transcript.strata
    name = partial(class_title, measured.verification_key.transcript.task.class_names)
    by_set: dict[SetId, list[tuple[int, Question]]] = {}
    for number, question in enumerate(measured.questions, start=1):
        by_set.setdefault(question.set_id, []).append((number, question))
    return tuple(
        Group(
            f"Set {set_id.number} of “{visible(strata[set_id.stratum].name)}”",
            sum(question.matches for _, question in asked),
            tuple((number, question.matches) for number, question in asked),
            tuple(_item(number, question, key, name) for number, question in asked)
            if include_triggers
            else (),
        )
        for set_id, asked in by_set.items()
    )


def class_title(names: tuple[str, ...], place: int) -> str:
    """Return a class's name for a narrow place; a shortened name bears the class's number."""
    name = visible(names[place])
    return name if len(name) <= _NAME_LIMIT else f"{name[: _NAME_LIMIT - 8]}… (class {place})"


def shortened_classes(verdict: Verdict) -> list[tuple[int, str]]:
    """Return number and full name of every class that occurs and is shortened by ``class_title``."""
    names = verdict.measurement.verification_key.transcript.task.class_names
    occurring = {question.label for question in verdict.measurement.questions} | {
        question.answer for question in verdict.measurement.questions if not isinstance(question.answer, Miss)
    }
    return [
        (place, visible(names[place]))
        for place in sorted(occurring)
        if len(visible(names[place])) > _NAME_LIMIT
    ]


def show(exhibit: Exhibit) -> ShownTrigger:
    """Return an exhibit as the page shows it; kinds that a page cannot show are named.

    Args:
        exhibit: A PNG picture or a text; other types are described.

    Returns:
        Nothing that a browser would have to fetch or run.
    """
    if exhibit.media_type == "image/png":
        return _show_picture(exhibit.data)
    if exhibit.media_type.partition(";")[0] == "text/plain":
        lines = exhibit.data.decode("utf-8", "backslashreplace").splitlines()
        text = "\n".join(visible(line) for line in lines)
        cut = text[:_TEXT_LIMIT]
        return ShownTrigger(text=cut + ("…" if len(cut) < len(text) else ""), is_reduced=len(cut) < len(text))
    return ShownTrigger(
        text=f"({visible(exhibit.media_type)}, {len(exhibit.data):,} bytes: not shown on paper)",
        is_reduced=True,
    )


def _item(number: int, question: Question, key: MarkingKey, name: Callable[[int], str]) -> Item:
    trigger = key.triggers[question.set_id][question.place]
    return Item(
        number,
        question.place,
        question.matches,
        name(question.label),
        _given(question.answer, name),
        show(trigger.show(key.transcript.task.geometry)),
    )


def _given(answer: Answer, name: Callable[[int], str]) -> str:
    return f"({answer.value})" if isinstance(answer, Miss) else name(answer)


def _show_picture(data: bytes) -> ShownTrigger:
    with Image.open(io.BytesIO(data), formats=("PNG",)) as picture:
        is_small = max(picture.size) < _REDUCED_SIDE
        if len(data) <= _EXACT_LIMIT_BYTES:
            return ShownTrigger(_address("image/png", data), is_small=is_small)
        reduced = picture.convert("RGB" if picture.mode == "RGB" else "L")
        reduced.thumbnail((_REDUCED_SIDE, _REDUCED_SIDE), Image.Resampling.BOX)
        buffer = io.BytesIO()
        reduced.save(buffer, "JPEG", quality=_REDUCED_QUALITY)
        return ShownTrigger(_address("image/jpeg", buffer.getvalue()), is_reduced=True)


def _address(media_type: str, data: bytes) -> str:
    return f"data:{media_type};base64,{base64.b64encode(data).decode('ascii')}"
