"""The operator's file of tiers: read beside the default ones, and refused in one line that names the place."""

from pathlib import Path

import pytest

from parley.core.limits import Limits
from parley.domain.limits.tiers import DEFAULT_TIERS, TiersRefused, read_tiers


def test_without_a_file_there_are_the_default_tiers(tmp_path: Path) -> None:
    assert read_tiers(tmp_path / "tiers.toml") is DEFAULT_TIERS


def test_a_file_changes_a_tier_and_adds_another(tmp_path: Path) -> None:
    file = tmp_path / "tiers.toml"
    file.write_text(
        "[paid]\nrequests_per_minute = 10_000\n[paid.family.gpt-4]\nrequests_per_minute = 500\n"
        "[partner]\nconcurrent_requests = 3\n"
    )
    tiers = read_tiers(file)
    assert tiers["paid"].for_family("gpt-3.5-turbo") == Limits(requests_per_minute=10_000)
    assert tiers["paid"].for_family("gpt-4") == Limits(requests_per_minute=500)
    assert tiers["partner"].for_family("any") == Limits(concurrent_requests=3)
    assert tiers["free"] is DEFAULT_TIERS["free"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("paid = 3", "paid must be a table"),
        ("[paid]\nrequests = 3", "paid.requests is no limit; there are requests_per_minute"),
        ("[paid]\nrequests_per_minute = -1", "paid.requests_per_minute must be a whole number"),
        ("[paid]\nrequests_per_minute = true", "paid.requests_per_minute must be a whole number"),
        ("[paid]\nfamily = 3", "paid.family must be a table"),
        ("[paid.family]\ngpt-4 = 3", "paid.family.gpt-4 must be a table"),
        ("[paid", "cannot be read as TOML"),
    ],
)
def test_what_is_no_tier_is_refused_by_its_place(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "tiers.toml"
    file.write_text(text)
    with pytest.raises(TiersRefused) as refused:
        read_tiers(file)
    assert words in str(refused.value)
