"""Keys that belong to somebody else: what may be done with them, and that nobody acts in another's name by them."""

from typing import Any

import pytest

from parley.api.platform.commands import RotateKey, perform
from tests.builders_accounts import Person, Town

HOUSE = "/v1/organization"
BOUNDS = {
    "scopes": ["audio", "chat"],
    "models": ["gpt-4"],
    "expires_at": 1_900_000_000,
    "limits": {"requests_per_minute": 10},
    "monthly_budget_usd": 5,
}
NARROWER = {
    "scopes": ["chat"],
    "models": [],
    "expires_at": 1_800_000_000,
    "limits": {"requests_per_minute": 9, "tokens_per_minute": 9},
    "monthly_budget_usd": 4,
}
WIDER = {
    "scopes": ["audio", "chat", "completions"],
    "models": ["gpt-4", "davinci"],
    "expires_at": 1_900_000_001,
    "limits": {"tokens_per_minute": 9},
    "monthly_budget_usd": 6,
}


async def key_of(person: Person, **fields: Any) -> tuple[str, dict[str, Any]]:
    """A new key of the person's oldest project, and its path."""
    key = await person.town.new_key(person, **fields)
    return f"{HOUSE}/projects/{key['project_id']}/api_keys/{key['id']}", key


async def test_nobody_rotates_the_key_of_another_person(town: Town) -> None:
    boss = await town.sign_up("boss@example.org")
    ada = await town.join("ada@example.org", "admin", by=boss)
    path, key = await key_of(boss)
    admin = (await boss.call("POST", f"{HOUSE}/admin_api_keys", {"name": "boss's", "scopes": ["all", "admin"]})).json()
    reply = await ada.call("POST", f"{path}/rotate", {"overlap_seconds": 60})
    assert (reply.status_code, reply.json()["error"]["code"]) == (403, "not_your_key")
    assert town.records.keys.authenticate(key["value"]) is not None
    # What carries the person's own name may, and revoking is open to whoever administers.
    rotated = await town.ok("POST", f"{path}/rotate", key=admin["value"])
    assert (await ada.call("DELETE", path.replace(key["id"], rotated["id"]))).status_code == 200


async def test_the_keys_of_service_accounts_are_rotated_by_who_administers(town: Town) -> None:
    boss = await town.sign_up("boss@example.org")
    ada = await town.join("ada@example.org", "admin", by=boss)
    project = f"{HOUSE}/projects/{await town.project_id(boss)}"
    account = (await boss.call("POST", f"{project}/service_accounts", {"name": "bot"})).json()
    rotated = await ada.call("POST", f"{project}/api_keys/{account['api_key']['id']}/rotate")
    assert rotated.status_code == 200
    assert rotated.json()["owner"]["service_account"]["id"] == account["id"]


async def test_what_a_service_account_makes_is_its_own_and_ends_with_it(town: Town) -> None:
    boss = await town.sign_up("boss@example.org")
    project = f"{HOUSE}/projects/{await town.project_id(boss)}"
    account = (await boss.call("POST", f"{project}/service_accounts", {"name": "bot"})).json()
    first = account["api_key"]
    await boss.call("POST", f"{project}/api_keys/{first['id']}", {"scopes": ["all", "keys"]})
    made = await town.ok("POST", f"{project}/api_keys", {"name": "second", "scopes": ["keys"]}, key=first["value"])
    last = await town.ok("POST", f"{project}/api_keys", {"name": "third", "scopes": ["keys"]}, key=made["value"])
    assert {key["owner"]["service_account"]["id"] for key in (made, last)} == {account["id"]}
    assert (await boss.call("DELETE", f"{project}/service_accounts/{account['id']}")).status_code == 200
    for key in (first, made, last):
        assert town.records.keys.authenticate(key["value"]) is None


async def test_the_operator_rotates_every_key_on_the_command_line(town: Town) -> None:
    boss = await town.sign_up("boss@example.org")
    _, key = await key_of(boss)
    reply = await perform(town.records, RotateKey(key_id=key["id"], overlap_seconds=0), lambda _: False)
    assert reply.error is None
    assert town.records.keys.authenticate(key["value"]) is None
    assert town.records.keys.authenticate(reply.secret).user_id == boss.user_id


@pytest.mark.parametrize("field", BOUNDS)
async def test_the_key_of_another_person_is_narrowed_and_gets_nothing_more(town: Town, field: str) -> None:
    boss = await town.sign_up("boss@example.org")
    ada = await town.join("ada@example.org", "admin", by=boss)
    path, key = await key_of(boss, **BOUNDS)
    reply = await ada.call("POST", path, {field: WIDER[field]})
    assert (reply.status_code, reply.json()["error"]["code"]) == (403, "not_your_key")
    assert (await boss.call("GET", path)).json()[field] == key[field]
    assert (await ada.call("POST", path, {"name": "renamed", field: NARROWER[field]})).status_code == 200
    assert (await boss.call("GET", path)).json()[field] == NARROWER[field]
    # Whose it is may widen it again: they can make one without bounds.
    assert (await boss.call("POST", path, {field: WIDER[field]})).status_code == 200


async def test_a_rename_by_a_key_with_bounds_leaves_those_of_the_renamed_key(town: Town) -> None:
    boss = await town.sign_up("boss@example.org")
    path, key = await key_of(boss)
    _, maker = await key_of(boss, **BOUNDS | {"scopes": ["keys", "chat"]})
    renamed = await town.ok("POST", path, {"name": "renamed"}, key=maker["value"])
    assert renamed["name"] == "renamed"
    assert {field: renamed[field] for field in BOUNDS} == {field: key[field] for field in BOUNDS}


async def test_what_a_key_with_bounds_gives_another_is_within_them(town: Town) -> None:
    boss = await town.sign_up("boss@example.org")
    path, _ = await key_of(boss, scopes=["read"])
    _, maker = await key_of(boss, **BOUNDS | {"scopes": ["keys", "chat"]})
    raised = await town.ok("POST", path, {"scopes": ["chat"]}, key=maker["value"])
    assert {field: raised[field] for field in BOUNDS} == BOUNDS | {"scopes": ["chat"]}
