"""null takes a bound away, of a key or of a project's limits; what is absent stays, and nobody gives more than they have."""

from typing import Any

import pytest

from parley.operations.verification import verify_ledger
from tests.builders_accounts import Town

HOUSE = "/v1/organization"
BOUNDS: dict[str, Any] = {
    "models": ["gpt-4"],
    "expires_at": 1_900_000_000,
    "limits": {"requests_per_minute": 10, "tokens_per_day": 7},
    "monthly_budget_usd": 5,
}
UNBOUND: dict[str, Any] = {"models": None, "expires_at": None, "limits": {}, "monthly_budget_usd": None}


async def bounded_key(town: Town, **fields: Any) -> tuple[str, dict[str, Any]]:
    key = await town.new_key(**BOUNDS, **fields)
    return f"{HOUSE}/projects/{key['project_id']}/api_keys/{key['id']}", key


def bounds_of(key: dict[str, Any]) -> dict[str, Any]:
    return {name: key[name] for name in BOUNDS}


@pytest.mark.parametrize("name", [*BOUNDS, "expires_in_seconds"])
async def test_null_takes_a_bound_of_a_key_away_and_leaves_the_others(town: Town, name: str) -> None:
    path, _ = await bounded_key(town)
    changed = await town.ok("POST", path, {name: None})
    taken = "expires_at" if name == "expires_in_seconds" else name
    assert bounds_of(changed) == BOUNDS | {taken: UNBOUND[taken]}
    assert bounds_of(await town.ok("GET", path)) == BOUNDS | {taken: UNBOUND[taken]}


async def test_a_change_that_names_no_bound_leaves_all_of_them(town: Town) -> None:
    path, _ = await bounded_key(town)
    assert bounds_of(await town.ok("POST", path, {"name": "another"})) == BOUNDS


async def test_a_key_whose_budget_was_taken_away_has_none_in_the_ledger_either(town: Town) -> None:
    path, key = await bounded_key(town)
    await town.ok("POST", path, {"monthly_budget_usd": None})
    assert town.records.keys.authenticate(key["value"]).budget_nano is None
    billing = town.records.billing
    _, findings = await town.records.database.read(lambda connection: verify_ledger(connection, billing))
    assert findings == []


async def test_no_scopes_are_those_that_a_key_gets_when_none_are_named_and_null_is_none_of_them(town: Town) -> None:
    path, _ = await bounded_key(town, scopes=["chat"])
    refused = await town.call("POST", path, {"scopes": None})
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "scopes")
    assert (await town.ok("GET", path))["scopes"] == ["chat"]
    assert (await town.ok("POST", path, {"scopes": []}))["scopes"] == ["model.request", "read"]


async def test_a_name_cannot_be_taken_away(town: Town) -> None:
    path, _ = await bounded_key(town)
    reply = await town.call("POST", path, {"name": None})
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, "name")


async def test_i5_a_key_takes_none_of_its_own_bounds_away(town: Town) -> None:
    path, key = await bounded_key(town, scopes=["keys", "chat"])
    changed = await town.call("POST", path, dict.fromkeys(BOUNDS), key=key["value"])
    assert (changed.status_code, bounds_of(changed.json())) == (200, BOUNDS)


@pytest.mark.parametrize("name", BOUNDS)
async def test_nobody_takes_a_bound_of_another_persons_key_away(town: Town, name: str) -> None:
    boss = await town.sign_up("boss@example.org")
    ada = await town.join("ada@example.org", "admin", by=boss)
    key = await town.new_key(boss, **BOUNDS)
    path = f"{HOUSE}/projects/{key['project_id']}/api_keys/{key['id']}"
    reply = await ada.call("POST", path, {name: None})
    assert (reply.status_code, reply.json()["error"]["code"]) == (403, "not_your_key")


async def test_null_takes_a_limit_of_a_project_away_and_leaves_the_others(town: Town) -> None:
    path = f"{HOUSE}/projects/{await town.project_id()}/rate_limits/rl-gpt-4-0314"
    limits = {"max_requests_per_1_minute": 3, "max_requests_per_1_day": 5, "max_concurrent_requests": 1}
    await town.ok("POST", path, limits)
    changed = await town.ok("POST", path, {"max_requests_per_1_minute": None, "max_requests_per_1_day": None})
    assert [changed[name] for name in limits] == [1_000_000_000, None, 1]
    entry = (await town.ok("GET", "/v1/organization/audit_logs?limit=1"))["data"][0]
    assert (entry["before"]["requests_per_minute"], "requests_per_minute" in entry["after"]) == (3, False)


async def test_a_limit_of_a_project_that_was_taken_away_leaves_that_of_the_tier(town: Town) -> None:
    ada = await town.sign_up("ada@example.org")
    path = f"{HOUSE}/projects/{await town.project_id(ada)}/rate_limits/rl-gpt-4-0314"
    await ada.call("POST", path, {"max_requests_per_1_minute": 3})
    changed = await ada.call("POST", path, {"max_requests_per_1_minute": None})
    assert changed.json()["max_requests_per_1_minute"] == 20
