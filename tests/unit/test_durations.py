"""Days as commands show them, also those that no calendar has."""

import pytest

from parley.core.durations import MAX_TIME, day


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "1970-01-01"),
        (1_677_628_800, "2023-03-01"),
        (MAX_TIME, "9999-12-31"),
        (MAX_TIME + 1, "never"),
        (2.0**60, "never"),
        (float("inf"), "never"),
    ],
)
def test_a_day_is_shown_as_it_is_written_and_beyond_the_calendar_as_never(seconds: float, text: str) -> None:
    assert day(seconds) == text
