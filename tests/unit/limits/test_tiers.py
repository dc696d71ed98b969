"""The operator's file of tiers: read beside the default ones, and refused in one line that names the place."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from parley.core.limits import Limits
from parley.domain.limits.tiers import DEFAULT_TIERS, Tier, TiersRefused, read_tiers


def test_without_a_file_there_are_the_default_tiers(tmp_path: Path) -> None:
    assert read_tiers(tmp_path / "tiers.toml") is DEFAULT_TIERS


def read(folder: Path, text: str) -> Mapping[str, Tier]:
    file = folder / "tiers.toml"
    file.write_text(text)
    return read_tiers(file)


def test_a_file_changes_what_it_states_of_a_tier_and_leaves_the_rest(tmp_path: Path) -> None:
    tiers = read(tmp_path, "[free]\nrequests_per_minute = 10\n[paid.family.gpt-4]\nrequests_per_minute = 500\n")
    assert tiers["free"].for_family("any") == Limits(requests_per_minute=10, tokens_per_minute=40_000)
    assert tiers["free"].for_family("gpt-4") == Limits(requests_per_minute=10, tokens_per_minute=40_000)
    assert tiers["paid"].for_family("any") == DEFAULT_TIERS["paid"].for_family("any")
    assert tiers["paid"].for_family("gpt-4") == Limits(requests_per_minute=500, tokens_per_minute=40_000)
    assert tiers["paid_new"] is DEFAULT_TIERS["paid_new"]


def test_the_file_of_the_documentation_says_what_the_documentation_says_of_it(tmp_path: Path) -> None:
    documentation = Path(__file__).parents[3].joinpath("docs/accounts.md").read_text(encoding="utf-8")
    tiers = read(tmp_path, documentation.partition("```toml\n")[2].partition("```")[0])
    assert tiers["paid"].for_family("any") == Limits(requests_per_minute=10_000, tokens_per_minute=500_000)
    assert tiers["paid"].for_family("gpt-4") == Limits(requests_per_minute=500, tokens_per_minute=40_000)
    assert tiers["free"].for_family("gpt-4") == Limits(requests_per_minute=20)


def test_a_tier_of_a_new_name_has_what_is_stated_alone(tmp_path: Path) -> None:
    tiers = read(tmp_path, "[partner]\nconcurrent_requests = 3\n[partner.family.gpt-4]\ntokens_per_day = 9\n")
    assert tiers["partner"].for_family("any") == Limits(concurrent_requests=3)
    assert tiers["partner"].for_family("gpt-4") == Limits(concurrent_requests=3, tokens_per_day=9)


def test_none_takes_away_a_default_limit_of_a_tier_or_of_a_family(tmp_path: Path) -> None:
    tiers = read(
        tmp_path,
        '[free]\ntokens_per_minute = "none"\n'
        '[paid.family.gpt-4]\nrequests_per_minute = "none"\ntokens_per_minute = "none"\n',
    )
    assert tiers["free"].for_family("any") == Limits(requests_per_minute=20)
    assert tiers["paid"].for_family("gpt-4") == DEFAULT_TIERS["paid"].limits


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("paid = 3", "paid must be a table"),
        ("[paid]\nrequests = 3", "paid.requests is no limit; there are requests_per_minute"),
        ("[paid]\nrequests_per_minute = -1", "paid.requests_per_minute must be a whole number"),
        (
            '[paid]\nrequests_per_minute = "many"',
            'paid.requests_per_minute must be a whole number, 0 or more, or "none"',
        ),
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
