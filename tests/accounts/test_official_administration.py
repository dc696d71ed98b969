"""The newest official client administers: every verb of the parts of its `admin` that are here, its replies checked strictly."""

import re

import pytest
from openai import AsyncOpenAI, BadRequestError, NotFoundError
from openai.resources.admin.organization import AsyncOrganization

from parley.api.platform.schemas import requests
from parley.core.principal import Scope
from tests.builders_accounts import PASSWORD, Town

KEYS = "/v1/organization/projects/{}/api_keys"


def official(town: Town) -> AsyncOrganization:
    client = AsyncOpenAI(
        api_key="none",
        admin_api_key=town.owner_key,
        base_url="http://parley.test/v1",
        http_client=town.client,
        max_retries=0,
        _strict_response_validation=True,
    )
    return client.admin.organization


async def test_projects_and_their_people(town: Town) -> None:
    organization = official(town)
    made = await organization.projects.create(name="one")
    assert (await organization.projects.update(made.id, name="two")).name == "two"
    assert "two" in {each.name async for each in organization.projects.list(limit=1)}
    bob = await town.join("bob@example.org", "developer")
    people = organization.projects.users
    added = await people.create(made.id, user_id=bob.user_id, role="member")
    assert (added.id, added.email, added.role) == (bob.user_id, "bob@example.org", "developer")
    assert (await people.update(bob.user_id, project_id=made.id, role="owner")).role == "owner"
    assert (await people.retrieve(bob.user_id, project_id=made.id)).role == "owner"
    assert (await people.delete(bob.user_id, project_id=made.id)).deleted
    by_email = await people.create(made.id, email="Bob@example.org", role="member")
    assert [each.id async for each in people.list(made.id)] == [by_email.id] == [bob.user_id]
    archived = await organization.projects.archive(made.id)
    assert archived.status == "archived"
    assert made.id in [each.id async for each in organization.projects.list(include_archived=True)]


async def test_who_is_put_into_a_project_is_named_once_and_belongs_to_the_organization(town: Town) -> None:
    people, project_id = official(town).projects.users, await town.project_id()
    stranger = await town.sign_up("eve@example.org")
    for who in ({}, {"user_id": stranger.user_id, "email": "eve@example.org"}):
        with pytest.raises(BadRequestError) as refused:
            await people.create(project_id, role="member", **who)
        assert refused.value.param == "user_id"
    texts = set()
    for who in ({"user_id": stranger.user_id}, {"email": "eve@example.org"}, {"email": "nobody@example.org"}):
        with pytest.raises(NotFoundError) as unknown:
            await people.create(project_id, role="member", **who)
        texts.add(unknown.value.message)
    assert len(texts) == 1


async def test_members(town: Town) -> None:
    organization = official(town)
    bob = await town.join("bob@example.org", "developer")
    await town.join("cid@example.org", "viewer")
    assert {each.email async for each in organization.users.list(limit=1)} == {"bob@example.org", "cid@example.org"}
    found = await organization.users.list(emails=["Bob@example.org", "nobody@example.org"])
    assert [each.id for each in found.data] == [bob.user_id]
    assert (await organization.users.update(bob.user_id, role="reader")).role == "viewer"
    assert (await organization.users.retrieve(bob.user_id)).role == "viewer"
    assert (await organization.users.delete(bob.user_id)).deleted


async def test_invites(town: Town) -> None:
    organization = official(town)
    invite = await organization.invites.create(email="dan@example.org", role="owner", projects=[])
    assert (await organization.invites.retrieve(invite.id)).status == "pending"
    assert (await organization.invites.list(limit=1)).data[0].id == invite.id
    assert (await organization.invites.delete(invite.id)).deleted


async def test_service_accounts_and_the_keys_that_they_get(town: Town) -> None:
    accounts, project_id = official(town).projects.service_accounts, await town.project_id()
    bare = await accounts.create(project_id, name="bare", create_service_account_only=True)
    assert bare.api_key is None
    brief = await accounts.create(project_id, name="brief", expires_in_seconds=1_000)
    assert brief.api_key.expires_at == int(town.clock.now()) + 1_000
    key = await accounts.api_keys.create(bare.id, project_id=project_id)
    assert (key.name, key.expires_at) == ("bare", None)
    reader = await accounts.api_keys.create(bare.id, project_id=project_id, name="r", scopes=["api.all.read"])
    for secret, status in ((key.value, 404), (reader.value, 401)):
        assert (await town.call("GET", "/v1/models", key=secret)).status_code == 200
        chat = {"model": "nothing", "messages": [{"role": "user", "content": "hi"}]}
        assert (await town.call("POST", "/v1/chat/completions", chat, key=secret)).status_code == status
    assert (await accounts.update(bare.id, project_id=project_id, name="named")).name == "named"
    assert (await accounts.retrieve(bare.id, project_id=project_id)).name == "named"
    assert {each.name async for each in accounts.list(project_id, limit=1)} >= {"named", "brief"}
    shown = await official(town).projects.api_keys.retrieve(key.id, project_id=project_id)
    assert (shown.owner.type, shown.owner.service_account.name) == ("service_account", "named")
    types = [entry["type"] for entry in (await town.ok("GET", "/v1/organization/audit_logs?limit=1"))["data"]]
    assert types == ["service_account.updated"]
    assert (await accounts.delete(bare.id, project_id=project_id)).deleted
    assert (await town.call("GET", "/v1/models", key=key.value)).status_code == 401


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        (
            "",
            {"name": "a", "create_service_account_only": True, "expires_in_seconds": 5},
            "create_service_account_only",
        ),
        ("", {"name": "a", "expires_at": 2_000_000_000, "expires_in_seconds": 5}, "expires_in_seconds"),
        ("/{account}/api_keys", {"scopes": ["admin"]}, "scopes"),
        ("/{account}/api_keys", {"scopes": ["sing"]}, "scopes"),
        ("/{account}/api_keys", {"expires_in_seconds": 0}, "expires_in_seconds"),
        ("/{account}/api_keys", {"expires_in_seconds": 36_501 * 86_400}, "expires_in_seconds"),
        # The first second of the year 10000, which no calendar of ours can show.
        ("/{account}/api_keys", {"expires_at": 253_402_300_800}, "expires_at"),
        ("/{account}", {"role": "owner"}, "role"),
    ],
)
async def test_what_no_service_account_can_be_is_refused_by_name(
    town: Town, path: str, body: dict[str, object], param: str
) -> None:
    accounts = f"/v1/organization/projects/{await town.project_id()}/service_accounts"
    account = (await town.ok("POST", accounts, {"name": "bot"}))["id"]
    reply = await town.call("POST", accounts + path.format(account=account), body)
    assert reply.status_code == 400
    assert reply.json()["error"]["param"].startswith(param)


async def test_service_accounts_are_made_and_renamed_by_admins_alone_and_never_across_projects(town: Town) -> None:
    boss = await town.sign_up("boss@example.org")
    project_id = await town.project_id(boss)
    dev = await town.join("dev@example.org", "developer", projects=[{"id": project_id, "role": "developer"}], by=boss)
    here = f"/v1/organization/projects/{project_id}/service_accounts"
    mine = (await boss.call("POST", here, {"name": "bot"})).json()["id"]
    other = (await boss.call("POST", "/v1/organization/projects", {"name": "other"})).json()["id"]
    elsewhere = f"/v1/organization/projects/{other}/service_accounts"
    for path, body in ((f"/{mine}", {"name": "b"}), (f"/{mine}/api_keys", {"name": "b"})):
        assert (await dev.call("POST", here + path, body)).status_code == 401
        assert (await boss.call("POST", elsewhere + path, body)).status_code == 404
        assert (await town.call("POST", here + path, body)).status_code == 404
        assert (await boss.call("POST", here + path, body)).status_code == 200


async def test_keys_of_projects(town: Town) -> None:
    keys, project_id = official(town).projects.api_keys, await town.project_id()
    made = await town.new_key(scopes=["model.request"])
    assert (await keys.retrieve(made["id"], project_id=project_id)).owner_project_access == "active"
    assert made["id"] in [each.id async for each in keys.list(project_id, limit=1)]

    async def scopes() -> list[str]:
        return (await town.ok("GET", f"{KEYS.format(project_id)}/{made['id']}"))["scopes"]

    await keys.update(made["id"], project_id=project_id, scopes=["api.all.read"])
    assert await scopes() == ["read"]
    await keys.update(made["id"], project_id=project_id, expires_in_seconds=500)
    assert (await keys.retrieve(made["id"], project_id=project_id)).expires_at == int(town.clock.now()) + 500
    assert await scopes() == ["read"]
    await keys.update(made["id"], project_id=project_id, scopes=[])
    assert await scopes() == ["model.request", "read"]
    assert (await keys.delete(made["id"], project_id=project_id)).deleted


async def test_a_key_whose_owner_left_the_project_says_so(town: Town) -> None:
    project_id = await town.project_id()
    bob = await town.join("bob@example.org", "developer", projects=[{"id": project_id, "role": "developer"}])
    key = (await bob.call("POST", KEYS.format(project_id), {"name": "bob's"})).json()
    keys = official(town).projects.api_keys
    assert (await keys.retrieve(key["id"], project_id=project_id)).owner_project_access == "active"
    await official(town).projects.users.delete(bob.user_id, project_id=project_id)
    shown = {each.id: each async for each in keys.list(project_id)}
    assert shown[key["id"]].owner_project_access == "inactive"
    assert (await town.call("GET", "/v1/models", key=key["value"])).status_code == 401


async def test_admin_keys(town: Town) -> None:
    keys = official(town).admin_api_keys
    made, brief = await keys.create(name="a"), await keys.create(name="b", expires_in_seconds=60)
    assert (made.expires_at, brief.expires_at) == (None, int(town.clock.now()) + 60)
    assert {each.id async for each in keys.list(order="desc", limit=1)} >= {made.id, brief.id}
    assert (await keys.retrieve(made.id)).name == "a"
    assert (await keys.delete(made.id)).deleted
    assert (await town.call("GET", "/v1/organization", key=brief.value)).status_code == 200
    town.clock.advance(60)
    assert (await town.call("GET", "/v1/organization", key=brief.value)).status_code == 401


async def test_rate_limits(town: Town) -> None:
    limits, project_id = official(town).projects.rate_limits, await town.project_id()
    page = await limits.list_rate_limits(project_id)
    # Nothing limits the operator's organization, and a client reads a number there.
    assert {each.max_requests_per_1_minute for each in page.data} == {1_000_000_000}
    changed = await limits.update_rate_limit(page.data[0].id, project_id=project_id, max_requests_per_1_minute=7)
    assert (changed.max_requests_per_1_minute, changed.max_tokens_per_1_minute) == (7, 1_000_000_000)
    assert (await limits.list_rate_limits(project_id)).data[0] == changed


async def test_the_audit_log(town: Town) -> None:
    organization = official(town)
    made = [(await organization.projects.create(name=f"p{number}")).id for number in range(3)]
    logs = organization.audit_logs.list(limit=1, event_types=["project.created"], resource_ids=made)
    assert [each.project_created.id async for each in logs] == made[::-1]


@pytest.mark.parametrize(
    "kind",
    [
        "audio_speeches",
        "audio_transcriptions",
        "code_interpreter_sessions",
        "completions",
        "costs",
        "decisions",
        "embeddings",
        "file_search_calls",
        "images",
        "moderations",
        "vector_stores",
        "web_search_calls",
    ],
)
async def test_every_kind_of_usage_has_its_buckets(town: Town, kind: str) -> None:
    start = int(town.clock.now()) - 86_400
    page = await getattr(official(town).usage, kind)(start_time=start, limit=2)
    assert [bucket.results for bucket in page.data] == [[], []]


def test_the_scopes_of_the_wire_are_ours_and_one_of_openais() -> None:
    assert set(requests.ScopeName.__args__) == {*Scope, "api.all.read"}


async def test_an_invited_reader_is_a_viewer(town: Town) -> None:
    await town.ok("POST", "/v1/organization/invites", {"email": "rea@example.org", "role": "reader", "projects": []})
    token = re.search(r"/invite#(\S+)", await town.mail_to("rea@example.org")).group(1)
    await town.ok("POST", "/v1/account/accept_invite", {"token": token, "password": PASSWORD}, key=None)
    found = await official(town).users.list(emails=["rea@example.org"])
    assert [each.role for each in found.data] == ["viewer"]
