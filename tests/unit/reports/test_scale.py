from dataclasses import replace

import pytest

from earmark.reports.scale import NARROW, WIDE, draw_scale, scale_text
from unit.reports.example_verdicts import make_key, make_verdict

KEY = make_key()
OWNED = make_verdict(KEY, 97)


@pytest.mark.parametrize("width", [WIDE, NARROW])
@pytest.mark.parametrize("matches", [0, 11, 69, 100])
def test_everything_lies_where_it_belongs_and_inside(width: int, matches: int) -> None:
    verdict = make_verdict(KEY, matches)
    scale = draw_scale(verdict, width)
    unit = (scale.right - scale.left) / 100
    assert scale.observed.at == pytest.approx(scale.left + matches * unit)
    assert scale.expected.at == pytest.approx(scale.left + 10 * unit)
    assert scale.threshold is not None
    assert scale.threshold.at == pytest.approx(scale.left + 69 * unit)
    for label in (scale.expected, scale.threshold, scale.observed, *scale.ticks):
        half = len(label.text) * 6.5 / 2
        assert label.x - half >= 0
        assert label.x + half <= width


@pytest.mark.parametrize("count", [1, 2, 3, 7, 19, 99, 100])
def test_ticks_are_few_and_end_at_the_count(count: int) -> None:
    measured = replace(OWNED.measurement, questions=OWNED.measurement.questions[:count])
    scale = draw_scale(replace(OWNED, measurement=measured), WIDE)
    assert [scale.ticks[0].text, scale.ticks[-1].text] == ["0", str(count)]
    assert len(scale.ticks) <= 7


def test_the_words_say_what_the_drawing_shows() -> None:
    text = scale_text(OWNED)
    for words in (
        "0 to 100",
        "By chance 10 are expected",
        "2 to 21",
        "at least 69",
        "97 matches were observed",
    ):
        assert words in text


def test_a_threshold_out_of_reach_is_said_and_not_drawn() -> None:
    measured = replace(OWNED.measurement, questions=OWNED.measurement.questions[:20])
    verdict = replace(OWNED, measurement=measured)
    assert draw_scale(verdict, WIDE).threshold is None
    assert "no number would have been enough" in scale_text(verdict)
