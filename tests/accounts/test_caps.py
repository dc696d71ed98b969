"""How much an organization may have: every change of it reads some of that on the one thread that writes."""

import asyncio
from typing import Any

import pytest

from parley.domain.accounts import membership, service
from tests.builders_accounts import Person, Town

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
    assert (await ada.call("DELETE", f"{project}/api_keys/{kept['id']}")).status_code == 200
    assert await statuses(ada, f"{project}/api_keys", bodies) == [200, 400, 400]
    house = f"{ORGANIZATION}/projects/{await town.project_id()}"
    assert await statuses(town, f"{house}/api_keys", bodies) == [200, 200, 200]


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
