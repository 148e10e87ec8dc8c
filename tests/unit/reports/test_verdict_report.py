import base64
import hashlib
import re
from collections import Counter
from dataclasses import replace
from datetime import datetime
from functools import cache
from html.parser import HTMLParser
from io import BytesIO
from itertools import pairwise
from pathlib import Path

import pytest
from PIL import Image

import earmark.reports
from earmark.keys import MarkingKey
from earmark.reports.exhibits import class_title, show
from earmark.reports.verdict_report import render_verdict
from earmark.suspects import Miss
from earmark.triggers import Exhibit, Trigger, tables
from earmark.triggers.image import ImageGeometry
from earmark.verification import Verdict
from small import two_kinds
from unit.reports.example_verdicts import IDENTITY, make_context, make_key, make_verdict

VOID = {"meta", "img", "br", "link", "input", "hr"}
HOSTILE = "<script>window.pwned=1</script>\"'><img src=x onerror=window.pwned=1>"
HOSTILE_CLASSES = tuple(f"{HOSTILE}{{{{7*7}}}}\u202e{number}" for number in range(10))
ODD_CLASSES = tuple(f"odd-class-{number}" for number in range(10))


class Page(HTMLParser):
    """Tags with attributes, and the text that a person reads."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open_tags: list[str] = []
        self.pieces: list[str] = []
        self.feed(source)
        assert self.open_tags == [], "every tag is closed"

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        assert len(dict(attributes)) == len(attributes)
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID and f"</{tag}" not in (self.get_starttag_text() or ""):
            self.open_tags.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open_tags.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open_tags:
            self.pieces.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.pieces).split())

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@cache
def key() -> MarkingKey:
    return make_key()


@cache
def cases() -> dict[str, Verdict]:
    return {
        "owned": make_verdict(key(), 97),
        "not shown": make_verdict(key(), 11, misses=[Miss.REFUSED] * 6 + [Miss.TIE]),
        "nearly": make_verdict(key(), 60, looks=1 << 26),
        "recorded": make_verdict(key(), 88, recorded_by="answers.csv", method_count=3),
        "attested": make_verdict(key(), 88, recorded_by="answers.csv", attested_by="Dr. Vera Weis"),
        "nothing": make_verdict(key(), 0),
    }


@pytest.fixture(scope="module", params=cases())
def case(request: pytest.FixtureRequest) -> tuple[Verdict, Page, str]:
    verdict = cases()[request.param]
    source = render_verdict(verdict, key(), make_context())
    return verdict, Page(source), source


def test_the_page_holds_the_verdicts_numbers(case: tuple[Verdict, Page, str]) -> None:
    verdict, page, _ = case
    measured = verdict.measurement
    for words in (
        f"{measured.match_count} of 100 match",
        f"{verdict.threshold} needed",
        measured.suspect_name,
        measured.suspect_identity,
        key().transcript.root.hex(),
        key().transcript.owner.public_key.hex(),
        hashlib.sha256(key().transcript.owner.public_key).hexdigest(),
        key().verification_key.signature.hex(),
        *(root.hex() for stratum in key().transcript.strata for root in stratum.set_roots),
        *(penalty.reason for penalty in verdict.penalties),
        "2026-03-04 14:06:07 UTC",
        "earmark verify suspect.safetensors",
        "Python 3.11.7",
        "93.1 % on 10,000 test pictures",
    ):
        assert words in page.text
    signs = Counter(
        "miss" in (attributes["class"] or "") for attributes in page.named("li") if "class" in attributes
    )
    assert signs[False] == measured.match_count
    assert signs[True] == 100 - measured.match_count
    labels = re.findall(r"label (\w+) given ([\w()]+)", page.text)
    names = key().transcript.task.class_names
    assert [label for label, _ in labels] == [names[question.label] for question in measured.questions]
    assert [given for _, given in labels] == [
        f"({question.answer.value})" if isinstance(question.answer, Miss) else names[question.answer]
        for question in measured.questions
    ]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "owned",
            ["Owned", "carries the mark", "2^−305.3", "at most 1 in 10^91", "2^−201.3", "201 times in a row"],
        ),
        (
            "not shown",
            ["Not shown", "about 42 in 100", "no proof of innocence", "6 times the suspect refused"],
        ),
        ("nearly", ["Not shown", "more than luck usually gives", "2^−5.8"]),
        (
            "recorded",
            [
                "Consistent with the answers recorded in answers.csv",
                "could have written others",
                "pays k(k+1): 12",
            ],
        ),
        ("attested", ["rests on the word of “Dr. Vera Weis”", "Recorded answers, attested."]),
        ("nothing", ["Not shown", "100 in 100", "nothing left"]),
    ],
)
def test_what_each_verdict_says(name: str, words: list[str]) -> None:
    page = Page(render_verdict(cases()[name], key(), make_context()))
    for word in words:
        assert word in page.text


def test_what_is_not_proven_is_said_always(case: tuple[Verdict, Page, str]) -> None:
    verdict, page, _ = case
    for words in ("No timestamp, no date.", "This page is not the evidence.", "Confidential."):
        assert words in page.text
    assert ("Dependence, not theft." in page.text) is verdict.mark_shown


def test_the_page_fetches_nothing_and_runs_nothing(case: tuple[Verdict, Page, str]) -> None:
    _, page, source = case
    assert {tag for tag, _ in page.tags}.isdisjoint(
        {"script", "link", "iframe", "object", "form", "base", "a"}
    )
    assert "http://" not in source
    assert "https://" not in source
    assert set(re.findall(r"url\(([^)]*)\)", source)) == {"#hatch-wide", "#hatch-narrow"}
    for _, attributes in page.tags:
        assert not any(name.startswith("on") or name in {"href", "style", "srcset"} for name in attributes)
        assert (attributes.get("src") or "data:image/").startswith("data:image/")


def test_the_policy_allows_the_pages_own_style_only(case: tuple[Verdict, Page, str]) -> None:
    _, page, source = case
    style = source.partition("<style>")[2].partition("</style>")[0]
    policy = page.named("meta")[1]["content"] or ""
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert "default-src 'none'; img-src data:" in policy
    assert f"style-src 'sha256-{digest}'" in policy


def test_the_page_can_be_read_without_seeing_it(case: tuple[Verdict, Page, str]) -> None:
    _, page, _ = case
    assert page.named("html") == [{"lang": "en"}]
    assert len(page.named("title")) == 3, "the page and the two drawings"
    assert len(page.named("h1")) == len(page.named("main")) == 1
    assert all(attributes["alt"] for attributes in page.named("img"))
    assert all(attributes["scope"] in {"row", "col"} for attributes in page.named("th"))
    identities = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(set(identities)) == len(identities)
    for _, attributes in page.tags:
        assert attributes.get("aria-labelledby", identities[0]) in identities
    assert all(attributes["role"] == "img" for attributes in page.named("svg"))
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_hostile_names_are_text() -> None:
    hostile_key = make_key(classes=HOSTILE_CLASSES, owner=HOSTILE)
    verdict = make_verdict(hostile_key, 97, suspect_name=HOSTILE, recorded_by=HOSTILE, attested_by=HOSTILE)
    context = make_context(
        command=HOSTILE,
        environment={HOSTILE: HOSTILE},
        warnings=(HOSTILE,),
        clean_accuracy=HOSTILE,
        file_digests={HOSTILE: HOSTILE},
        earmark_version=HOSTILE,
    )
    source = render_verdict(verdict, hostile_key, context)
    page = Page(source)
    assert page.named("script") == []
    assert all(
        (attributes["src"] or "").startswith("data:image/png;base64,") for attributes in page.named("img")
    )
    assert "<script>window.pwned=1</script>" in page.text
    assert "{{7*7}}\\u{202e}" in page.text
    assert "\u202e" not in source
    assert source.encode()


def test_lone_surrogates_and_controls_can_be_written() -> None:
    verdict = make_verdict(key(), 97, suspect_name="x\ud800\x00\x1b[31m\u2066y")
    source = render_verdict(verdict, key(), make_context())
    assert b"x\\u{d800}\\u{0}\\u{1b}[31m\\u{2066}y" in source.encode()


def test_without_triggers_nothing_of_any_trigger_is_left() -> None:
    odd_key = make_key(classes=ODD_CLASSES)
    verdict = make_verdict(odd_key, 97)
    source = render_verdict(verdict, odd_key, make_context(), include_triggers=False)
    assert "data:image" not in source
    assert "odd-class" not in source
    assert "<img" not in source
    for triggers in odd_key.triggers.values():
        for trigger in triggers:
            exhibit = base64.b64encode(trigger.show().data).decode()
            assert exhibit[64:128] not in source
            assert trigger.canonical_bytes.hex()[200:264] not in source
    text = Page(source).text
    assert "Confidential" not in text
    assert "CONFIDENTIAL" not in source
    assert "Triggers left out." in text
    assert source.count("✓<span") == 97
    assert source.count("✗<span") == 3
    assert "odd-class-3" in render_verdict(verdict, odd_key, make_context())


def test_sets_are_shown_apart() -> None:
    two = make_key(100, set_count=2)
    text = Page(render_verdict(make_verdict(two, 150), two, make_context())).text
    counts = [int(found) for found in re.findall(r"Set \d of “noise”: (\d+) of 100 match", text)]
    assert len(counts) == 2
    assert sum(counts) == 150


def test_kinds_are_counted_apart_and_a_lost_one_does_not_hide_another_unsaid() -> None:
    both, hint = two_kinds(), "verify --stratum NAME asks one alone"
    shown = Page(render_verdict(make_verdict(both, 220), both, make_context())).text
    assert "140 of 140 abstract, 80 of 80 noise" in shown
    assert hint not in shown
    few = make_verdict(both, 90)
    text = Page(render_verdict(few, both, make_context(), include_triggers=False)).text
    counts = re.findall(r"(\d+) of 140 abstract, (\d+) of 80 noise", text)
    assert [int(one) + int(other) for one, other in counts] == [90, 90]
    assert hint in text
    assert not few.mark_shown
    assert "Matches by kind" not in Page(render_verdict(make_verdict(key(), 90), key(), make_context())).text


def test_a_thousand_triggers_make_a_page_of_a_sensible_size() -> None:
    many = make_key(100, set_count=10, geometry=ImageGeometry(8, 8, 3))
    source = render_verdict(make_verdict(many, 700), many, make_context())
    assert source.count("data:image/png") == 1000
    assert len(source) < 1_500_000
    assert 'class="cells dense"' in source


def test_large_pictures_are_reduced_and_the_page_says_so() -> None:
    large = make_key(100, geometry=ImageGeometry(224, 160, 3))
    source = render_verdict(make_verdict(large, 97), large, make_context())
    address = re.search(r"data:image/jpeg;base64,([^\"]+)", source)
    assert address
    with Image.open(BytesIO(base64.b64decode(address[1]))) as picture:
        assert picture.size == (91, 128)
    assert "Pictures larger than the page needs are reduced" in source
    assert len(source) < 2_500_000


class TextKind:
    def show(self, canonical_bytes: bytes, geometry: ImageGeometry | None = None) -> Exhibit:
        return Exhibit("text/plain; charset=utf-8", canonical_bytes, ".txt")


def test_text_triggers_are_text(monkeypatch: pytest.MonkeyPatch) -> None:
    verdict = make_verdict(key(), 97)
    monkeypatch.setattr(tables, "_resolve", lambda *_: TextKind())
    texts = {
        set_id: tuple(Trigger("text", f"<b>one {place}</b>\ntwo \u202e".encode()) for place in range(100))
        for set_id in key().triggers
    }
    page = Page(render_verdict(verdict, replace(key(), triggers=texts), make_context()))
    assert page.named("img") == []
    assert page.named("b") == [{}] * 200
    assert "<b>one 7</b>two \\u{202e}" in page.text
    assert {"class": "cells texts"} in page.named("ol")


def test_other_exhibits_are_named_and_long_texts_are_cut() -> None:
    assert "audio/flac, 3 bytes" in (show(Exhibit("audio/flac", b"abc", ".flac")).text or "")
    svg = show(Exhibit("image/svg+xml", b"<svg onload=alert(1)>", ".svg"))
    assert svg.picture is None
    long = show(Exhibit("text/plain", b"x" * 5000 + b"\xff", ".txt"))
    assert long.is_reduced
    assert (long.text or "").endswith("x…")


def test_shortened_class_names_stay_different_and_are_listed_in_full() -> None:
    long_names = tuple("x" * 190 + str(number) for number in range(10))
    assert len({class_title(long_names, place) for place in range(10)}) == 10
    long_key = make_key(classes=long_names)
    text = Page(render_verdict(make_verdict(long_key, 97), long_key, make_context())).text
    assert all(name in text for name in long_names)


def test_timestamps_are_counted_and_not_called_checked() -> None:
    verdict = make_verdict(key(), 97)
    stamped = replace(key().verification_key, timestamps=(b"token", b"token"))
    measured = replace(verdict.measurement, verification_key=stamped)
    text = Page(render_verdict(replace(verdict, measurement=measured), key(), make_context())).text
    assert "2 timestamps, not checked in this report" in text
    assert "Dates are not checked here." in text


def test_warnings_stand_before_the_sections() -> None:
    verdict = make_verdict(key(), 97)
    text = Page(render_verdict(verdict, key(), make_context(warnings=("Mind the gap.",)))).text
    assert text.index("Warning Mind the gap.") < text.index("Strength")
    assert "Warning" not in Page(render_verdict(verdict, key(), make_context())).text


def test_another_key_and_a_time_without_zone_are_refused() -> None:
    with pytest.raises(ValueError, match="about another key"):
        render_verdict(make_verdict(key(), 97), make_key(owner="Someone else"), make_context())
    with pytest.raises(ValueError, match="time zone"):
        make_context(made_at=datetime(2026, 3, 4))  # noqa: DTZ001 - this is what is refused


def test_the_templates_never_switch_escaping_off() -> None:
    folder = Path(earmark.reports.__file__).parent / "templates"
    for template in folder.iterdir():
        assert not re.search(r"\|\s*safe|autoescape", template.read_text("utf-8"))


def test_the_same_verdict_makes_the_same_page() -> None:
    verdict = make_verdict(key(), 97)
    first, second = (render_verdict(verdict, key(), make_context()) for _ in range(2))
    assert first == second
    assert IDENTITY in first
