import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from earmark.reports.verdict_report import render_verdict
from earmark.suspects import Miss
from end_to_end.headless_browser import PROGRAM, Browser, browser
from unit.reports.example_verdicts import make_context, make_key, make_verdict

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="Chromium is not installed")

HOSTILE = "<script>window.pwned=1</script><img src=x onerror=window.pwned=1>"


@pytest.fixture(scope="module")
def tab() -> Iterator[Browser]:
    with browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("reports")
    key = make_key()
    many = make_key(128, set_count=4)
    hostile = make_key(classes=tuple(f"{HOSTILE}{'W' * 120}{number}" for number in range(10)), owner=HOSTILE)
    owned = make_verdict(key, 97)
    context = make_context(warnings=("The journal is younger than the key.",))
    sources = {
        "owned": render_verdict(owned, key, context),
        "public": render_verdict(owned, key, context, include_triggers=False),
        "not-shown": render_verdict(make_verdict(key, 11, misses=[Miss.REFUSED] * 6), key, context),
        "recorded": render_verdict(make_verdict(key, 88, recorded_by="answers.csv"), key, context),
        "many": render_verdict(make_verdict(many, 430), many, context),
        "hostile": render_verdict(
            make_verdict(hostile, 97, suspect_name=HOSTILE + "W" * 150),
            hostile,
            make_context(command="W" * 300, file_digests={"W" * 200: "sha256:" + "0" * 64}),
        ),
    }
    paths = {}
    for name, source in sources.items():
        paths[name] = folder / f"{name}.html"
        paths[name].write_text(source, "utf-8")
    return paths


NAMES = ["owned", "public", "not-shown", "recorded", "many", "hostile"]


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("name", NAMES)
def test_the_page_loads_quietly_and_fits(tab: Browser, pages: dict[str, Path], name: str, width: int) -> None:
    tab.open(pages[name], width=width)
    assert tab.evaluate("document.readyState") == "complete"
    assert tab.complaints == []
    addresses = [address for address in tab.requested if not address.startswith("data:image/")]
    assert addresses == [pages[name].as_uri()]
    assert tab.evaluate("innerWidth") == width
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    spilled = """[...document.querySelectorAll('main *')].filter(part =>
        part.getBoundingClientRect().right > innerWidth + 1).map(part => part.outerHTML.slice(0, 200))"""
    assert tab.evaluate(spilled) == []
    assert tab.evaluate("[...document.images].every(image => image.naturalWidth > 0)") is True
    assert tab.evaluate("getComputedStyle(document.body).maxWidth") == "1088px", "the style was accepted"


def test_one_drawing_is_shown_at_each_width(tab: Browser, pages: dict[str, Path]) -> None:
    shown = (
        """['wide', 'narrow'].map(size => getComputedStyle(document.querySelector('svg.' + size)).display)"""
    )
    inside = """[...document.querySelectorAll('svg text')].filter(text => text.getBoundingClientRect().width)
        .every(text => {
            const [box, frame] = [text, text.ownerSVGElement].map(part => part.getBoundingClientRect());
            return box.left >= frame.left - 1 && box.right <= frame.right + 1;
        })"""
    for width, displays in ((1280, ["block", "none"]), (390, ["none", "block"])):
        for name in ("owned", "not-shown"):
            tab.open(pages[name], width=width)
            assert tab.evaluate(shown) == displays
            assert tab.evaluate(inside) is True, (name, width)


def test_hostile_names_run_nothing(tab: Browser, pages: dict[str, Path]) -> None:
    tab.open(pages["hostile"], width=1280)
    assert tab.evaluate("typeof window.pwned") == "undefined"
    assert tab.evaluate("document.scripts.length") == 0
    assert "<script>window.pwned=1</script>" in tab.evaluate("document.body.innerText")


def test_paper_is_light_whatever_the_screen(tab: Browser, pages: dict[str, Path]) -> None:
    tab.open(pages["owned"], width=1280, scheme="dark")
    paper = "getComputedStyle(document.documentElement).backgroundColor"
    assert tab.evaluate(paper) == "rgb(25, 26, 28)"
    dark = [{"name": "prefers-color-scheme", "value": "dark"}]
    tab.call("Emulation.setEmulatedMedia", media="print", features=dark)
    assert tab.evaluate(paper) == "rgb(255, 255, 255)"
    tab.call("Emulation.setEmulatedMedia", media="", features=[])


@pytest.mark.skipif(shutil.which("pdftotext") is None, reason="pdftotext is not installed")
@pytest.mark.parametrize(("name", "is_confidential"), [("owned", True), ("public", False)])
def test_the_page_prints(
    tab: Browser, pages: dict[str, Path], tmp_path: Path, name: str, is_confidential: bool
) -> None:
    tab.open(pages[name], width=1280)
    printed = tmp_path / "report.pdf"
    printed.write_bytes(tab.print_pdf())
    command = ["pdftotext", "-layout", str(printed), "-"]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    sheets = output.split("\f")[:-1]
    assert 4 <= len(sheets) <= 8
    text = " ".join(output.split())
    for words in ("Owned", "97 of 100", "69 needed after penalties", "What this does not prove", "Page 1 of"):
        assert words in text
    assert all(("CONFIDENTIAL:" in sheet) is is_confidential for sheet in sheets)
    assert all("root " in sheet for sheet in sheets)
