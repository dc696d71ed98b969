"""`parley credits` on a folder where no server runs: an organization's own prices."""

import sqlite3
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from parley.cli.credits import command


def price(folder: Path, *words: str) -> Result:
    return CliRunner().invoke(command, ["price", *words, "--data", str(folder)])


def kept(folder: Path) -> str:
    """The price that was set last, as JSON."""
    with sqlite3.connect(folder / "parley.db") as connection:
        query = "SELECT price FROM organization_prices JOIN price_versions USING (version) ORDER BY number DESC LIMIT 1"
        return str(connection.execute(query).fetchone()[0]).replace(" ", "")


def test_tokens_seconds_and_pictures_are_priced_apart(folder: Path) -> None:
    assert price(folder, "whisper-1", "--audio-second", "5").stdout == "whisper-1: price set\n"
    assert '"audio_second_nano":5' in kept(folder)
    assert price(folder, "whisper-1", "1", "2", "3", "--image", "256x256", "4", "--training-token", "6").exit_code == 0
    for part in ('"input_token_nano":1', '"cached_token_nano":2', '"output_token_nano":3', '"training_token_nano":6'):
        assert part in kept(folder)
    assert '["256x256",4]' in kept(folder)
    # What was not said this time costs what everybody pays.
    assert '"audio_second_nano":5' not in kept(folder)
    assert price(folder, "whisper-1").stdout == "whisper-1: the usual price\n"


@pytest.mark.parametrize(
    ("words", "code"),
    [(("whisper-1", "1", "2"), 2), (("whisper-1", "--audio-second", "-1"), 2), (("nobody", "1", "2", "3"), 1)],
)
def test_a_price_that_makes_no_sense_is_refused(folder: Path, words: tuple[str, ...], code: int) -> None:
    assert price(folder, *words).exit_code == code


@pytest.mark.parametrize("days", ["0", "-1", "36501", "inf", "nan"])
def test_a_grant_is_for_days_that_a_calendar_has(folder: Path, days: str) -> None:
    refused = CliRunner().invoke(command, ["grant", "5", "--days", days, "--data", str(folder)])
    assert refused.exit_code in {1, 2}
    assert "days" in refused.stderr
    assert "Traceback" not in refused.stderr
    shown = CliRunner().invoke(command, ["show", "--data", str(folder)])
    assert (shown.exit_code, "grant until" in shown.stdout) == (0, False)
