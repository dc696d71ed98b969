"""How much an organization may have: every change of it reads some of that on the one thread that writes."""

import asyncio
from typing import Any

import pytest

from parley.domain.accounts import doors, membership, ring, service
from parley.domain.accounts.store import keys as store
from parley.infra.db import Connection
from tests.builders_accounts import PASSWORD, Person, Town

ORGANIZATION = "/v1/organization"


async def statuses(owner: Person | Town, path: str, bodies: list[dict[str, Any]]) -> list[int]:
    """Of requests side by side, sorted; what is refused is refused by its name."""
    replies = await asyncio.gather(*(owner.call("POST", path, body) for body in bodies))
    assert {reply.json()["error"]["code"] for reply in replies if reply.status_code == 400} <= {"limit_reached"}
    return sorted(reply.status_code for reply in replies)


async def test_an_organization_has_so_many_projects_that_are_not_archived(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "MAX_PROJECTS", 3)
    ada, path = await town.sign_up("ada@example.org"), f"{ORGANIZATION}/projects"
    bodies = [{"name": f"p{number}"} for number in range(4)]
    assert await statuses(ada, path, bodies) == [200, 200, 400, 400]
    assert (await ada.call("POST", f"{path}/{await town.project_id(ada)}/archive")).status_code == 200
    assert await statuses(ada, path, bodies) == [200, 400, 400, 400]
    assert await statuses(town, path, bodies) == [200] * 4


async def test_an_organization_has_so_many_keys_that_are_not_revoked(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "MAX_KEYS", 2)
    ada = await town.sign_up("ada@example.org")
    project = f"{ORGANIZATION}/projects/{await town.project_id(ada)}"
    kept = await town.new_key(ada)
    bodies = [{"name": f"k{number}"} for number in range(3)]
    assert await statuses(ada, f"{project}/api_keys", bodies) == [200, 400, 400]
    assert await statuses(ada, f"{ORGANIZATION}/admin_api_keys", bodies) == [400, 400, 400]
    assert await statuses(ada, f"{project}/service_accounts", bodies) == [400, 400, 400]
    assert (await ada.call("GET", f"{project}/service_accounts")).json()["data"] == []
    assert await statuses(ada, f"{project}/api_keys/{kept['id']}/rotate", [{"overlap_seconds": 60}]) == [400]
    # As many as before.
    rotated = await ada.call("POST", f"{project}/api_keys/{kept['id']}/rotate", {"overlap_seconds": 0})
    assert rotated.status_code == 200, rotated.text
    assert (await ada.call("DELETE", f"{project}/api_keys/{rotated.json()['id']}")).status_code == 200
    assert await statuses(ada, f"{project}/api_keys", bodies) == [200, 400, 400]
    house = f"{ORGANIZATION}/projects/{await town.project_id()}"
    assert await statuses(town, f"{house}/api_keys", bodies) == [200, 200, 200]


async def test_keys_that_are_over_take_no_room(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "MAX_KEYS", 2)
    ada = await town.sign_up("ada@example.org")
    path = f"{ORGANIZATION}/projects/{await town.project_id(ada)}/api_keys"
    newest = await town.new_key(ada)
    for _ in range(5):
        rotated = await ada.call("POST", f"{path}/{newest['id']}/rotate", {"overlap_seconds": 60})
        assert rotated.status_code == 200, rotated.text
        newest = rotated.json()
        assert await statuses(ada, path, [{"name": "k"}]) == [400]
        # Over, and a day later.
        town.clock.advance(60 + 86_400)
    assert await statuses(ada, path, [{"name": f"k{number}"} for number in range(2)]) == [200, 400]


async def test_a_change_reads_the_keys_that_count_and_those_that_were_over_lately(town: Town) -> None:
    ada = await town.sign_up("ada@example.org")
    kept = await town.new_key(ada)
    path = f"{ORGANIZATION}/projects"
    project_id = (await ada.call("POST", path, {"name": "short"})).json()["id"]
    for number in range(10):
        body = {"name": f"k{number}", "expires_at": int(town.clock.now()) + 60}
        assert (await ada.call("POST", f"{path}/{project_id}/api_keys", body)).status_code == 200

    def read(connection: Connection) -> list[str]:
        return [key.id for key in store.followed_keys(connection, town.clock.now(), ada.organization_id)]

    town.clock.advance(60)
    assert len(await town.records.database.read(read)) == 11
    town.clock.advance(86_400)
    assert await town.records.database.read(read) == [kept["id"]]
    # An archived project whose keys are all over stands for nothing, and its keys are listed all the same.
    assert (await ada.call("POST", f"{path}/{project_id}/archive")).status_code == 200
    standing = await town.records.database.read(
        lambda connection: town.records.accounts.standing_of(connection, ada.organization_id)
    )
    assert project_id not in standing.projects
    listed = (await ada.call("GET", f"{path}/{project_id}/api_keys")).json()["data"]
    assert [key["owner_project_access"] for key in listed] == ["inactive"] * 10


async def test_memory_forgets_the_keys_that_are_over(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ring, "_FIRST_SWEEP", 1)
    in_memory = town.records.keys
    in_memory._sweep_at = 1
    over = await town.new_key(expires_at=int(town.clock.now()) + 60)
    kept = await town.new_key(expires_at=int(town.clock.now()) + 2 * 86_400)
    assert in_memory.digest(over["value"]) in in_memory._keys
    town.clock.advance(60 + 86_400)
    for _ in range(5):
        await town.new_key()
    assert in_memory.digest(over["value"]) not in in_memory._keys
    assert in_memory.authenticate(kept["value"]) is not None


async def test_memory_forgets_no_key_for_a_clock_that_was_ahead_for_a_moment(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ring, "_FIRST_SWEEP", 1)
    in_memory = town.records.keys
    in_memory._sweep_at = 1
    key = await town.new_key(expires_at=int(town.clock.now()) + 60)
    town.clock.advance(86_400)
    for _ in range(5):
        await town.new_key()
    assert in_memory.authenticate(key["value"]) is None
    town.clock.set_back(86_400)
    assert in_memory.authenticate(key["value"]) is not None


@pytest.mark.parametrize(("cap", "most"), [("MAX_OPEN_INVITES", 3), ("MAX_PEOPLE", 4)])
async def test_an_organization_has_so_many_members_and_open_invites(
    town: Town, monkeypatch: pytest.MonkeyPatch, cap: str, most: int
) -> None:
    monkeypatch.setattr(membership, cap, most)
    ada, path = await town.sign_up("ada@example.org"), f"{ORGANIZATION}/invites"
    bodies = [{"email": f"p{number}@example.org", "role": "viewer"} for number in range(5)]
    assert await statuses(ada, path, bodies) == [200] * 3 + [400] * 2
    first = (await ada.call("GET", path)).json()["data"][0]
    assert (await ada.call("DELETE", f"{path}/{first['id']}")).status_code == 200
    assert await statuses(ada, path, bodies) == [200] + [400] * 4
    town.clock.advance(7 * 86_400)
    assert await statuses(ada, path, bodies) == [200] * 3 + [400] * 2
    assert await statuses(town, path, bodies) == [200] * 5


async def test_a_user_has_so_many_sessions_and_the_oldest_end(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doors, "MAX_SESSIONS", 2)
    sessions = [await town.sign_up("ada@example.org")]
    for _ in range(2):
        town.clock.advance(1)
        body = {"email": "ada@example.org", "password": PASSWORD}
        sessions.append(town.entered(await town.call("POST", "/v1/account/log_in", body, key=None)))
    assert [(await one.call("GET", "/v1/account/session")).status_code for one in sessions] == [401, 200, 200]


async def test_a_change_leaves_the_keys_that_it_does_not_concern_as_they_are(town: Town) -> None:
    ada = await town.sign_up("ada@example.org")
    secret, project_id = (await town.new_key(ada))["value"], await town.project_id(ada)
    before = town.records.keys.authenticate(secret)
    path = f"{ORGANIZATION}/projects"
    assert (await ada.call("POST", f"{path}/{project_id}", {"name": "renamed"})).status_code == 200
    other = (await ada.call("POST", path, {"name": "other"})).json()["id"]
    bob = await town.join("bob@example.org", "developer", by=ada)
    assert (await ada.call("POST", f"{path}/{other}/users", {"user_id": bob.user_id, "role": "member"})).is_success
    assert (await bob.call("GET", f"{path}/{other}")).status_code == 200
    assert (await ada.call("POST", f"{ORGANIZATION}/users/{bob.user_id}", {"role": "reader"})).is_success
    assert (await ada.call("POST", f"{path}/{other}/archive")).status_code == 200
    assert (await bob.call("GET", f"{path}/{other}")).status_code == 404
    assert (await ada.call("DELETE", f"{ORGANIZATION}/users/{bob.user_id}")).status_code == 200
    assert (await bob.call("GET", path)).status_code == 401
    # Nobody made it anew: it is the same object.
    assert town.records.keys.authenticate(secret) is before
