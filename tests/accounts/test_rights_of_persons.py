"""A person's keys and sessions may what the person may, at that moment and in that project, and never more."""

import re
from typing import Any

import pytest

from parley.api.call import Access
from parley.api.platform.account_commands import InviteUser, perform_on_accounts
from parley.operations.command_line import operator
from parley.operations.rotate_keys import rotate_key
from tests.builders_accounts import PASSWORD, Person, Town
from tests.builders_routes import declared_routes

HOUSE = "/v1/organization"
CHAT = {"model": "echo-1", "messages": [{"role": "user", "content": "hello"}]}
# What a member may in a project, by the role there.
OPEN_TO = {"developer": {Access.ADMIN_READ, Access.KEYS}, "viewer": {Access.ADMIN_READ}}


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
    made = (await by("POST", f"{HOUSE}/admin_api_keys", {"name": "a"})).json()
    key = made["value"]
    assert (await by("POST", f"{HOUSE}/projects", {"name": "another"})).status_code == 200
    assert (await town.call("POST", "/v1/chat/completions", CHAT, key=key)).status_code == 200
    assert (await by("POST", f"{HOUSE}/projects/{project_id}/archive")).status_code == 200
    assert (await town.call("POST", "/v1/chat/completions", CHAT, key=key)).status_code == 401
    assert (await town.call("POST", f"{HOUSE}/projects", {"name": "next"}, key=key)).status_code == 200
    actor = await operator(town.records, boss.organization_id if boss else None)
    rotated = await rotate_key(town.records, actor, made["id"], project_id=None, overlap_seconds=0)
    assert (await town.call("POST", f"{HOUSE}/projects", {"name": "more"}, key=rotated.secret)).status_code == 200


async def test_the_operators_organization_keeps_a_project(town: Town) -> None:
    refused = await town.call("POST", f"{HOUSE}/projects/{await town.project_id()}/archive")
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "last_project")


async def test_an_admin_does_not_revoke_an_owners_admin_key(town: Town) -> None:
    boss = await town.sign_up("boss@example.org")
    admin = await town.join("admin@example.org", "admin", by=boss)
    path = f"{HOUSE}/admin_api_keys"
    owners = (await boss.call("POST", path, {"name": "b"})).json()["id"]
    own = (await admin.call("POST", path, {"name": "a"})).json()["id"]
    assert (await admin.call("DELETE", f"{path}/{owners}")).status_code == 401
    assert (await admin.call("DELETE", f"{path}/{own}")).status_code == 200
    assert (await boss.call("DELETE", f"{path}/{owners}")).status_code == 200


async def test_an_admin_does_not_revoke_a_key_that_operates_the_installation(town: Town) -> None:
    admin = await town.join("admin@example.org", "admin")
    path = f"{HOUSE}/admin_api_keys"
    operates = await town.ok("POST", path, {"name": "o", "scopes": ["admin", "operator"]})
    assert (await admin.call("DELETE", f"{path}/{operates['id']}")).status_code == 401
    assert town.records.keys.authenticate(operates["value"]) is not None
    await town.ok("DELETE", f"{path}/{operates['id']}")


def remove(boss: Person, inviter: Person, key: dict[str, Any]) -> Any:
    return boss.call("DELETE", f"{HOUSE}/users/{inviter.user_id}")


def demote(boss: Person, inviter: Person, key: dict[str, Any]) -> Any:
    return boss.call("POST", f"{HOUSE}/users/{inviter.user_id}", {"role": "developer"})


def revoke(boss: Person, inviter: Person, key: dict[str, Any]) -> Any:
    return boss.call("DELETE", f"{HOUSE}/admin_api_keys/{key['id']}")


@pytest.mark.parametrize(
    ("loss", "with_key", "status"),
    [
        (remove, False, 400),
        (remove, True, 400),
        (demote, False, 400),
        (demote, True, 400),
        (revoke, False, 200),
        (revoke, True, 400),
    ],
)
async def test_an_invite_counts_while_who_sent_it_may_give_its_role(
    town: Town, loss: Any, with_key: bool, status: int
) -> None:
    boss = await town.sign_up("boss@example.org")
    ada = await town.join("ada@example.org", "admin", by=boss)
    key = await new_admin_key(ada)
    body = {"email": "eve@example.org", "role": "admin"}
    by = {"authorization": f"Bearer {key['value']}"} if with_key else {}
    assert (await ada.call("POST", f"{HOUSE}/invites", body, **by)).status_code == 200
    token = re.search(r"/invite#(\S+)", await town.mail_to("eve@example.org")).group(1)
    assert (await loss(boss, ada, key)).status_code == 200
    accepted = {"token": token, "password": PASSWORD}
    reply = await town.call("POST", "/v1/account/accept_invite", accepted, key=None)
    assert reply.status_code == status, reply.text
    town.client.cookies.clear()
    # Nothing but the loss was in the way.
    if loss is demote:
        await boss.call("POST", f"{HOUSE}/users/{ada.user_id}", {"role": "admin"})
        assert (await town.call("POST", "/v1/account/accept_invite", accepted, key=None)).status_code == 200


async def test_an_invite_does_not_count_while_its_organization_is_suspended(town: Town) -> None:
    boss = await town.sign_up("boss@example.org")
    body = {"email": "eve@example.org", "role": "owner"}
    assert (await boss.call("POST", f"{HOUSE}/invites", body)).status_code == 200
    token = re.search(r"/invite#(\S+)", await town.mail_to("eve@example.org")).group(1)
    accepted = {"token": token, "password": PASSWORD}
    for status, code in (("suspended", 400), ("active", 200)):
        await town.ok("POST", f"/v1/organizations/{boss.organization_id}", {"status": status})
        assert (await town.call("POST", "/v1/account/accept_invite", accepted, key=None)).status_code == code


async def test_an_owners_invite_makes_no_owner_after_they_became_an_admin(town: Town) -> None:
    boss = await town.sign_up("boss@example.org")
    ada = await town.join("ada@example.org", "owner", by=boss)
    for role in ("owner", "admin"):
        body = {"email": f"{role}@example.org", "role": role}
        assert (await ada.call("POST", f"{HOUSE}/invites", body)).status_code == 200
    await boss.call("POST", f"{HOUSE}/users/{ada.user_id}", {"role": "admin"})
    for role, status in (("owner", 400), ("admin", 200)):
        token = re.search(r"/invite#(\S+)", await town.mail_to(f"{role}@example.org")).group(1)
        body = {"token": token, "password": PASSWORD}
        assert (await town.call("POST", "/v1/account/accept_invite", body, key=None)).status_code == status
        town.client.cookies.clear()


async def test_an_invite_of_the_command_line_counts(town: Town) -> None:
    boss = await town.sign_up("boss@example.org")
    invite = InviteUser(
        email="eve@example.org", role="owner", public_url="http://x", organization_id=boss.organization_id
    )
    done = await perform_on_accounts(town.records, invite)
    body = {"token": done.secret, "password": PASSWORD}
    assert (await town.call("POST", "/v1/account/accept_invite", body, key=None)).status_code == 200


async def test_what_counts_is_the_role_in_the_project_that_the_path_names(town: Town) -> None:
    boss = await town.sign_up("boss@example.org")
    older, younger = await town.project_id(boss), await new_project(boss, "younger")
    wrong = []
    for first, second in (("developer", "viewer"), ("viewer", "developer")):
        roles = {older: first, younger: second}
        projects = [{"id": project_id, "role": role} for project_id, role in roles.items()]
        person = await town.join(f"{first}@example.org", "developer", by=boss, projects=projects)
        for route in declared_routes():
            for project_id, role in roles.items() if "{project_id}" in route.path else ():
                path = re.sub(r"\{\w+\}", "x", route.path.replace("{project_id}", project_id))
                for header in ({}, {"openai_project": older}, {"openai_project": younger}):
                    reply = await person.call(route.method, path, {"name": "x", "role": "viewer"}, **header)
                    if (reply.status_code != 401) is not (route.access in OPEN_TO[role]):
                        wrong.append((route.method, path, role, header, reply.text))
    assert wrong == []


async def test_a_project_that_is_not_the_sessions_users_is_missing_whatever_the_header_names(town: Town) -> None:
    boss = await town.sign_up("boss@example.org")
    mine, other = await town.project_id(boss), await new_project(boss, "other")
    dev = await town.join("dev@example.org", "developer", by=boss, projects=[{"id": mine, "role": "developer"}])
    for header in ({}, {"openai_project": mine}):
        hidden, missing = [
            await dev.call("POST", f"{HOUSE}/projects/{project_id}/api_keys", {"name": "k"}, **header)
            for project_id in (other, "proj_nothing")
        ]
        assert (hidden.status_code, hidden.content) == (missing.status_code, missing.content)
        assert hidden.status_code == 404
    assert (await dev.call("GET", f"{HOUSE}/projects/{mine}", openai_project=other)).status_code == 401
