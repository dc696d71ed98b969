"""The bench's table says what was measured, and whether the goal was met."""

import pytest

from bench.report import Row, table


def test_the_ratio_is_the_median_over_neighbouring_runs() -> None:
    # The third pair ran while the machine was slow, on both sides alike.
    row = Row(measure="tokens", unit="1/s", parley=[90, 95, 40], peer=[100, 100, 50])
    assert row.ratio == pytest.approx(0.9)


@pytest.mark.parametrize(
    ("parley", "verdict"), [(97.0, ">= 0.97x: met"), (96.0, ">= 0.97x: MISSED")], ids=["at the goal", "under it"]
)
def test_a_goal_bounds_the_ratio(parley: float, verdict: str) -> None:
    assert Row(measure="tokens", unit="1/s", parley=[parley], peer=[100.0], goal=0.97).verdict == verdict


@pytest.mark.parametrize(("parley", "verdict"), [(20.0, "<= 20.0: met"), (21.0, "<= 20.0: MISSED")])
def test_a_goal_may_bound_the_figure_itself_from_above(parley: float, verdict: str) -> None:
    row = Row(measure="event", unit="µs", parley=[parley], goal=20.0, bounds_figure=True, is_less_better=True)
    assert row.verdict == verdict


def test_the_table_has_a_line_for_each_row_and_columns_of_one_width() -> None:
    lines = table(
        [
            Row(measure="requests", unit="1/s", parley=[4000.4], peer=[8000.0], goal=3000, bounds_figure=True),
            Row(measure="a longer name", unit="ms", parley=[1.234]),
        ]
    ).splitlines()
    assert len(lines) == 4
    assert len({len(line) for line in lines}) == 1
    assert lines[2].split("|")[1:-1] == [
        " requests      ",
        " 1/s  ",
        " 4,000  ",
        " 8,000 ",
        " 0.50  ",
        " >= 3,000: met ",
    ]
    assert "1.23" in lines[3]
