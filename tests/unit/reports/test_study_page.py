"""The page of a study: losses first, failures without numbers, foreign names harmless."""

import re
from datetime import UTC, datetime

import pytest

from earmark.reports.study_page import StudyContext, StudyModelFacts, render_study
from earmark.reports.study_plots import Plot

EVIL = "<script>alert(1)</script>\u202e"


def row(outcome, attack="ftal", **changes):
    numbers = {
        "matches": 50, "questions": 100, "threshold": 69, "claim_bits": -3.5, "sequential_claim_bits": -4.0,
        "probabilities_claim_bits": None, "accuracy_after": 0.9, "accuracy_task": "digits", "points_lost": 1.25,
        "wall_seconds": 12.0, "share_of_training": None,
        "processor_share_of_training": None, "restored_matches": None, "restored_claim_bits": None,
        "matches_before": 100, "claim_bits_before": 228.0,
    }  # fmt: skip
    if outcome in ("failed", "not run"):
        numbers = dict.fromkeys(numbers)
    base = {"id": f"{outcome} {attack}", "model": "marked", "attack": attack, "image_count": 1437, "seed": 0}
    return {**base, "outcome": outcome, "message": None, **numbers, **changes}


def page(table, logs=None, plots=(), **changes):
    context = {
        "name": "robust", "made_at": datetime(2026, 1, 2, tzinfo=UTC), "environment": {"earmark": "0.1.0", "torch": "2"},
        "command": "earmark evaluate study.toml", "text": 'format = "earmark/study/v1"', "data": "digits",
        "data_digest": "d" * 64, "models": (StudyModelFacts("marked", "a" * 64, "b" * 64, 100, None),), **changes,
    }  # fmt: skip
    return render_study(StudyContext(**context), table, logs or {}, plots)


def test_what_was_lost_stands_first_and_the_clearest_loss_before_it():
    table = [
        row("survived"),
        row("removed", "weak", claim_bits=30.0),
        row("removed", "strong"),
        row("too costly"),
    ]
    text = page(table)
    places = [text.index(f"<h3>{name}") for name in ("Removed", "Too costly", "Survived")]
    assert places == sorted(places)
    assert text.index(">strong<") < text.index(">weak<")
    assert "Of 4 cells, 1 still show the mark; 2 lost it and kept their accuracy; 1 lost both." in text
    assert "Marks were removed" in text


def test_a_failed_cell_has_a_log_and_no_number():
    text = page([row("failed", message="ValueError: no", id="x")], {"x": "Traceback\n<b>"})
    assert "ValueError: no" in text
    assert "Traceback" in text
    assert "&lt;b&gt;" in text
    body = text[text.index("<h3>Failed") : text.index("</table>")]
    assert "None" not in body
    assert "No mark was shown to survive" in text


def test_no_mark_removed_is_said_so():
    assert "No mark was removed" in page([row("survived")])


@pytest.mark.parametrize("field", ["attack", "model", "message"])
def test_foreign_names_do_nothing(field):
    text = page(
        [row("failed", **{"message": "m", field: EVIL})], name=EVIL, command=EVIL, text=EVIL, data=EVIL
    )
    assert "<script" not in text
    assert "\u202e" not in text
    assert "&lt;script&gt;" in text


def test_it_fetches_nothing_and_its_style_is_the_one_that_it_allows():
    import base64
    import hashlib

    text = page(
        [row("survived")],
        plots=[Plot("A plot", "how to read it", "<svg xmlns='http://www.w3.org/2000/svg'/>")],
    )
    style = re.search(r"<style>(.*?)</style>", text, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src &#39;sha256-{digest}&#39;" in text or f"style-src 'sha256-{digest}'" in text
    assert re.findall(r'(?:src|href)="(?!data:)', text) == []
    assert "how to read it" in text


def test_plots_are_drawn_from_rows_and_leave_out_what_has_no_number():
    pytest.importorskip("matplotlib", reason="the extra 'plots' is not installed")
    from earmark.reports.study_plots import draw_all

    table = [
        row("survived", id="a"),
        row("removed", "other", points_lost=None),
        row("failed"),
        row("not run"),
    ]
    passes = {"a": [{"pass": 1, "matches": 90}, {"pass": 2, "matches": 70}]}
    plots = draw_all(table, passes)
    assert [plot.title for plot in plots] == [
        "Matches left after each attack", "What is left of the claim, and of the accuracy", "Matches pass by pass",
    ]  # fmt: skip
    assert all(plot.svg.lstrip().startswith("<?xml") for plot in plots)
    assert [plot.svg for plot in draw_all(table, passes)] == [plot.svg for plot in plots]
    assert draw_all([row("failed")], {}) == ()
