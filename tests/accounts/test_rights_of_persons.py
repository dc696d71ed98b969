"""A person's keys and sessions may what the person may, at that moment and in that project, and never more."""

from typing import Any

import pytest

from tests.builders_accounts import Person, Town

HOUSE = "/v1/organization"
CHAT = {"model": "echo-1", "messages": [{"role": "user", "content": "hello"}]}


async def new_project(person: Person, name: str) -> str:
    """A project that is younger than those before."""
    person.town.clock.advance(1)
    return (await person.call("POST", f"{HOUSE}/projects", {"name": name})).json()["id"]


async def new_admin_key(person: Person, **fields: Any) -> dict[str, Any]:
    reply = await person.call("POST", f"{HOUSE}/admin_api_keys", {"name": "admin"} | fields)
    assert reply.status_code == 200, reply.text
    return reply.json()


async def projects_seen(town: Town, key: str) -> list[str]:
    return [project["id"] for project in (await town.ok("GET", f"{HOUSE}/projects", key=key))["data"]]


async def test_the_admin_key_of_a_demoted_person_reaches_no_project_that_is_not_theirs(town: Town) -> None:
    boss = await town.sign_up("boss@example.org")
    ada = await town.join("ada@example.org", "admin", by=boss)
    project_id = await town.project_id(boss)
    key = (await new_admin_key(ada))["value"]
    assert (await town.call("POST", "/v1/chat/completions", CHAT, key=key)).status_code == 200
    await boss.call("POST", f"{HOUSE}/users/{ada.user_id}", {"role": "developer"})
    assert await projects_seen(town, key) == []
    path = f"{HOUSE}/projects/{project_id}/api_keys"
    assert (await town.call("GET", path, key=key)).status_code == 404
    assert (await town.call("POST", path, {"name": "k"}, key=key)).status_code == 401
    assert (await town.call("POST", "/v1/chat/completions", CHAT, key=key)).status_code == 401


@pytest.mark.parametrize(("role", "status"), [("developer", 200), ("viewer", 401)])
async def test_the_admin_key_of_a_demoted_person_may_in_its_project_what_they_may_there(
    town: Town, role: str, status: int
) -> None:
    boss = await town.sign_up("boss@example.org")
    ada = await town.join("ada@example.org", "admin", by=boss)
    mine, other = await town.project_id(boss), await new_project(boss, "other")
    for project_id, there in ((mine, role), (other, "viewer")):
        body = {"user_id": ada.user_id, "role": there}
        assert (await boss.call("POST", f"{HOUSE}/projects/{project_id}/users", body)).status_code == 200
    key = (await new_admin_key(ada))["value"]
    await boss.call("POST", f"{HOUSE}/users/{ada.user_id}", {"role": "developer"})
    assert await projects_seen(town, key) == [mine, other]
    assert (await town.call("POST", "/v1/chat/completions", CHAT, key=key)).status_code == status
    reply = await town.call("POST", f"{HOUSE}/projects/{other}/api_keys", {"name": "k"}, key=key)
    assert reply.status_code == 401


@pytest.mark.parametrize("is_persons", [True, False])
async def test_an_admin_key_of_an_archived_project_administers_and_runs_nothing(town: Town, is_persons: bool) -> None:
    boss = await town.sign_up("boss@example.org") if is_persons else None
    by = boss.call if boss else town.call
    project_id = await town.project_id(boss)
    key = (await by("POST", f"{HOUSE}/admin_api_keys", {"name": "a"})).json()["value"]
    assert (await town.call("POST", "/v1/chat/completions", CHAT, key=key)).status_code == 200
    assert (await by("POST", f"{HOUSE}/projects/{project_id}/archive")).status_code == 200
    assert (await town.call("POST", "/v1/chat/completions", CHAT, key=key)).status_code == 401
    assert (await town.call("POST", f"{HOUSE}/projects", {"name": "next"}, key=key)).status_code == 200
