"""I7: what was let in by a right that ends meanwhile: requests that run, and changes whose body is still coming."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from parley.api.call import Access
from parley.api.reception import Reception
from parley.core.errors import AuthenticationFailed
from parley.operations.clock_watch import ClockWatch
from tests.builders_accounts import Town, told_of_parts
from tests.builders_routes import declared_routes

HOUSE = "/v1/organization"
_ENDS = {
    "/credits": {"amount_usd": 1},
    "/invites": {"email": "x@example.org", "role": "reader"},
    "/rotate": {"overlap_seconds": 1},
    "/users": {"user_id": "user-x", "role": "reader"},
    "/{user_id}": {"role": "reader"},
    "/{rate_limit_id}": {"max_requests_per_1_minute": 1},
}
WITH_BODY = [
    route.path
    for route in declared_routes()
    if route.method == "POST"
    and route.access in {Access.KEYS, Access.ADMIN, Access.OPERATOR}
    # They take none.
    and not route.path.endswith(("/archive", "/load", "/unload"))
]


async def running_as(town: Town, key_id: str, project_id: str) -> asyncio.Future[None]:
    """A request that runs in the name of a key or a session, in a project, until it is ended."""
    reception = Reception(request_id=f"req_{key_id}", received_at=0.0)
    reception.caller = (key_id, project_id)

    async def run() -> None:
        with town.open_requests.holding(reception):
            await asyncio.Event().wait()

    running = asyncio.ensure_future(run())
    await asyncio.sleep(0)
    return running


async def is_ended(running: asyncio.Future[None]) -> bool:
    """Whether it was ended as what no longer may run."""
    with pytest.raises(AuthenticationFailed):
        await asyncio.wait_for(running, 60)
    return True


async def test_i7_what_runs_with_a_revoked_key_is_ended(town: Town) -> None:
    key = await town.new_key()
    running = await running_as(town, key["id"], key["project_id"])
    others = await running_as(town, "key_other", key["project_id"])
    await town.ok("DELETE", f"{HOUSE}/projects/{key['project_id']}/api_keys/{key['id']}")
    assert await is_ended(running)
    assert not others.done()
    others.cancel()


@pytest.mark.parametrize(
    "change", [{"scopes": ["read"]}, {"scopes": ["completions"]}, {"models": ["davinci"]}, {"expires_at": 1}]
)
async def test_i7_what_runs_with_a_key_that_may_run_less_by_now_is_ended(town: Town, change: dict[str, object]) -> None:
    key = await town.new_key(scopes=["chat", "completions"], models=["gpt-4"])
    path = f"{HOUSE}/projects/{key['project_id']}/api_keys/{key['id']}"
    running = await running_as(town, key["id"], key["project_id"])
    more = {"name": "another", "scopes": ["model.request"], "models": ["gpt-4", "davinci"], "monthly_budget_usd": 1}
    await town.ok("POST", path, more)
    await town.ok("POST", f"{HOUSE}/projects/{key['project_id']}", {"name": "another"})
    assert not running.done()
    await town.ok("POST", path, change)
    assert await is_ended(running)


async def test_what_runs_with_a_key_for_every_model_is_ended_when_it_is_kept_to_some(town: Town) -> None:
    key = await town.new_key()
    running = await running_as(town, key["id"], key["project_id"])
    await town.ok("POST", f"{HOUSE}/projects/{key['project_id']}/api_keys/{key['id']}", {"models": ["gpt-4"]})
    assert await is_ended(running)


def body_for(path: str) -> dict[str, object]:
    """A body that the route takes."""
    return next((body for end, body in _ENDS.items() if path.endswith(end)), {"name": "x"})


@pytest.mark.parametrize("path", WITH_BODY)
async def test_i7_a_change_whose_body_comes_after_its_key_was_revoked_is_refused(town: Town, path: str) -> None:
    scopes = ["all", "admin", "owner", "operator"]
    key = await town.ok("POST", f"{HOUSE}/admin_api_keys", {"name": "leaver", "scopes": scopes})
    headers = {"authorization": f"Bearer {key['value']}", "content-type": "application/json"}

    async def slowly() -> AsyncIterator[bytes]:
        raw = json.dumps(body_for(path)).encode()
        yield raw[:5]
        await town.ok("DELETE", f"{HOUSE}/admin_api_keys/{key['id']}")
        yield raw[5:]

    reply = await town.client.post(path, content=slowly(), headers=headers)
    assert reply.status_code == 401
    newest = (await town.ok("GET", f"{HOUSE}/audit_logs?limit=1"))["data"][0]
    assert (newest["type"], newest["resource_id"]) == ("api_key.deleted", key["id"])


async def test_i7_a_change_is_made_with_the_rights_of_when_its_body_is_there(town: Town) -> None:
    admin = await town.join("admin@example.org", "admin")
    headers = {
        "cookie": f"parley_session={admin.token}",
        "x-csrf-token": admin.csrf,
        "content-type": "application/json",
    }

    async def slowly() -> AsyncIterator[bytes]:
        yield b'{"name":'
        await town.ok("POST", f"{HOUSE}/users/{admin.user_id}", {"role": "viewer"})
        yield b'"x"}'

    reply = await town.client.post(f"{HOUSE}/projects", content=slowly(), headers=headers)
    assert reply.status_code == 401
    assert "Missing scopes: admin" in reply.text


@pytest.mark.parametrize("change", [{"models": ["gpt-4"]}, {"limits": {"requests_per_minute": 0}}, {}])
async def test_i7_a_body_that_takes_its_time_is_answered_as_its_key_stands_by_then(
    town: Town, change: dict[str, object]
) -> None:
    key = await town.new_key(expires_at=int(town.clock.now()) + 60)
    headers = {"authorization": f"Bearer {key['value']}", "content-type": "application/json"}

    async def slowly() -> AsyncIterator[bytes]:
        yield b'{"model": "echo-1", "max_tokens": 1, '
        if change:
            await town.ok("POST", f"{HOUSE}/projects/{key['project_id']}/api_keys/{key['id']}", change)
            town.clock.advance(2)
        else:
            town.clock.advance(61)
        yield b'"messages": [{"role": "user", "content": "hello"}]}'

    reply = await town.client.post("/v1/chat/completions", content=slowly(), headers=headers)
    # Fewer models end what has begun, as a revocation does.
    assert reply.status_code == (429 if "limits" in change else 401), reply.text


async def test_what_was_let_in_before_a_key_ran_out_is_answered(town: Town) -> None:
    key = await town.new_key(expires_at=int(town.clock.now()) + 60)
    running = await running_as(town, key["id"], key["project_id"])
    town.clock.advance(61)
    await town.ok("POST", f"{HOUSE}/projects/{key['project_id']}", {"name": "another"})
    assert not running.done()
    running.cancel()


@pytest.mark.parametrize("change", [{"name": "another"}, {"tier": "paid"}])
async def test_what_a_key_began_is_answered_however_many_ended_after_it(town: Town, change: dict[str, str]) -> None:
    ada = await town.sign_up("ada@example.org")
    key = await town.new_key(ada, expires_in_seconds=30)
    running = await running_as(town, key["id"], key["project_id"])
    for _ in range(101):
        await town.new_key(ada, expires_in_seconds=60)
    # As long as nothing runs.
    town.clock.advance(12 * 3_600)
    await town.ok("POST", f"/v1/organizations/{ada.organization_id}", change)
    assert not running.done()
    running.cancel()


@pytest.mark.parametrize("whose", ["a member's", "a service account's"])
async def test_i7_what_ended_keys_began_ends_with_whose_they_are_and_none_of_them_comes_back(
    town: Town, whose: str
) -> None:
    boss = await town.sign_up("boss@example.org")
    project_id = await town.project_id(boss)
    project = f"{HOUSE}/projects/{project_id}"
    if whose == "a member's":
        who = await town.join("ada@example.org", "admin", by=boss)
        made, gone = f"{project}/api_keys", f"{HOUSE}/users/{who.user_id}"
    else:
        who = boss
        account = (await boss.call("POST", f"{project}/service_accounts", {"name": "bot"})).json()["id"]
        made, gone = f"{project}/service_accounts/{account}/api_keys", f"{project}/service_accounts/{account}"
    body = {"name": "k", "expires_in_seconds": 60}
    keys = [(await who.call("POST", made, body)).json() for _ in range(110)]
    old = (await who.call("POST", made, body | {"expires_in_seconds": 1})).json()
    running = [await running_as(town, key["id"], project_id) for key in keys]
    town.clock.advance(86_401)
    assert (await boss.call("DELETE", gone)).status_code == 200
    assert [await is_ended(one) for one in running] == [True] * 110
    listed = (await boss.call("GET", f"{project}/api_keys?limit=100")).json()["data"]
    assert not {key["id"] for key in [*keys, old]} & {key["id"] for key in listed}
    town.clock.set_back(86_400)
    await town.records.database.read(town.records.accounts.fill)
    for key in (keys[0], old):
        assert (await town.call("GET", "/v1/models", key=key["value"])).status_code == 401


async def test_a_clock_that_was_ahead_for_a_moment_takes_no_key_away(town: Town) -> None:
    ada = await town.sign_up("ada@example.org")
    key = await town.new_key(ada, expires_in_seconds=3_600)
    town.clock.advance(86_400)
    await town.ok("POST", f"/v1/organizations/{ada.organization_id}", {"name": "another"})
    assert (await town.call("GET", "/v1/models", key=key["value"])).status_code == 401
    town.clock.set_back(86_400)
    assert (await town.call("GET", "/v1/models", key=key["value"])).status_code == 200


@pytest.mark.parametrize("loss", ["key", "role", "organization", "session", "end"])
async def test_i7_an_export_breaks_off_when_who_asked_for_it_no_longer_may(town: Town, loss: str) -> None:
    boss = await town.sign_up("boss@example.org")
    admin = await town.join("admin@example.org", "admin", by=boss)
    key = (await admin.call("POST", f"{HOUSE}/admin_api_keys", {"name": "k", "expires_in_seconds": 60})).json()
    parts: list[bytes] = []

    async def lose_it() -> None:
        if loss == "key":
            await admin.call("DELETE", f"{HOUSE}/admin_api_keys/{key['id']}")
        elif loss == "role":
            await boss.call("POST", f"{HOUSE}/users/{admin.user_id}", {"role": "developer"})
        elif loss == "organization":
            await town.ok("POST", f"/v1/organizations/{boss.organization_id}", {"status": "suspended"})
        elif loss == "session":
            await admin.call("POST", "/v1/account/log_out")
        else:
            town.clock.advance(61)

    async def tell(part: bytes) -> None:
        # What takes the right away is answered, too.
        if part.startswith(b'{"id": "audit_log-'):
            parts.append(part)
            await lose_it()

    path = f"{HOUSE}/audit_logs/export"
    with told_of_parts(town, tell), pytest.MonkeyPatch.context() as patch:
        patch.setattr("parley.api.platform.audit_logs.PORTION_ROWS", 1)
        # What httpx says of a reply without its end.
        with pytest.raises(AssertionError):
            await (admin.call("GET", path) if loss == "session" else town.call("GET", path, key=key["value"]))
    assert len(parts) == 1


@pytest.mark.parametrize("loss", ["role", "project", "organization"])
async def test_i7_what_runs_for_a_person_who_may_no_longer_is_ended(town: Town, loss: str) -> None:
    owner = await town.sign_up("owner@example.org")
    project_id = await town.project_id(owner)
    projects = [{"id": project_id, "role": "member"}]
    dev = await town.join("dev@example.org", "developer", projects=projects, by=owner)
    key = (await dev.call("POST", f"{HOUSE}/projects/{project_id}/api_keys", {"name": "k"})).json()
    session_id = (await dev.call("GET", "/v1/account/session")).json()["id"]
    running = [await running_as(town, name, project_id) for name in (key["id"], session_id)]
    # Another project of theirs, and another name, take nothing away.
    await owner.call("POST", f"{HOUSE}/projects", {"name": "more"})
    assert not any(one.done() for one in running)
    if loss == "role":
        reply = await owner.call("POST", f"{HOUSE}/users/{dev.user_id}", {"role": "viewer"})
    elif loss == "project":
        reply = await owner.call("DELETE", f"{HOUSE}/projects/{project_id}/users/{dev.user_id}")
    else:
        reply = await town.call("POST", f"/v1/organizations/{owner.organization_id}", {"status": "suspended"})
    assert reply.status_code == 200, reply.text
    assert [await is_ended(one) for one in running] == [True, True]


async def test_what_runs_in_a_session_ends_with_its_own_project_and_with_no_other(town: Town) -> None:
    owner = await town.sign_up("owner@example.org")
    here = await town.project_id(owner)
    there, empty = [
        (await owner.call("POST", f"{HOUSE}/projects", {"name": name})).json()["id"] for name in ("there", "empty")
    ]
    projects = [{"id": project_id, "role": "member"} for project_id in (here, there, empty)]
    dev = await town.join("dev@example.org", "developer", projects=projects, by=owner)
    session_ids = [(await who.call("GET", "/v1/account/session")).json()["id"] for who in (owner, dev)]
    in_here, in_there = [[await running_as(town, name, project) for name in session_ids] for project in (here, there)]
    await owner.call("POST", f"{HOUSE}/projects/{empty}/archive")
    # Out of one of several projects: what they run there ends.
    await owner.call("DELETE", f"{HOUSE}/projects/{there}/users/{dev.user_id}")
    assert await is_ended(in_there[1])
    await owner.call("POST", f"{HOUSE}/projects/{there}/archive")
    assert await is_ended(in_there[0])
    assert not any(running.done() for running in in_here)
    # A lower role takes from what runs in every project.
    await owner.call("POST", f"{HOUSE}/users/{dev.user_id}", {"role": "viewer"})
    assert await is_ended(in_here[1])
    await owner.call("POST", "/v1/account/log_out")
    assert await is_ended(in_here[0])


@pytest.mark.parametrize(
    "loss", ["project archived", "out of the project", "out of the organization", "service account"]
)
async def test_i7_what_is_lost_while_the_clock_is_ahead_is_not_back_when_it_is_set_right(town: Town, loss: str) -> None:
    boss = await town.sign_up("boss@example.org")
    # It is the younger of the two.
    town.clock.advance(1)
    spare = (await boss.call("POST", f"{HOUSE}/projects", {"name": "spare"})).json()["id"]
    path = f"{HOUSE}/projects/{spare}"
    dev = await town.join("dev@example.org", "developer", projects=[{"id": spare, "role": "member"}], by=boss)
    owner, made = dev, f"{path}/api_keys"
    if loss == "service account":
        account = (await boss.call("POST", f"{path}/service_accounts", {"name": "bot"})).json()["id"]
        owner, made = boss, f"{path}/service_accounts/{account}/api_keys"
    key = (await owner.call("POST", made, {"name": "k", "expires_in_seconds": 3 * 86_400})).json()["value"]
    other = await town.new_key(boss, expires_in_seconds=3 * 86_400)
    assert (await town.call("GET", "/v1/models", key=key)).status_code == 200
    watch = ClockWatch(town.records)
    town.clock.set_back(-5 * 86_400)
    await watch.look()
    if loss == "project archived":
        reply = await boss.call("POST", f"{path}/archive")
    elif loss == "out of the project":
        reply = await boss.call("DELETE", f"{path}/users/{dev.user_id}")
    elif loss == "out of the organization":
        reply = await boss.call("DELETE", f"{HOUSE}/users/{dev.user_id}")
    else:
        reply = await boss.call("DELETE", f"{path}/service_accounts/{account}")
    assert reply.status_code == 200, reply.text
    town.clock.set_back(5 * 86_400)
    assert (await town.call("GET", "/v1/models", key=key)).status_code == 401
    await watch.look()
    assert (await town.call("GET", "/v1/models", key=key)).status_code == 401
    assert (await town.call("GET", "/v1/models", key=other["value"])).status_code == 200


@pytest.mark.parametrize("how", ["start", "change"])
async def test_a_start_or_a_change_while_the_clock_is_ahead_loses_no_key(town: Town, how: str) -> None:
    ada = await town.sign_up("ada@example.org")
    key = await town.new_key(ada, expires_in_seconds=3 * 86_400)
    town.clock.set_back(-5 * 86_400)
    if how == "start":
        await town.records.database.read(town.records.accounts.fill)
    else:
        await town.ok("POST", f"/v1/organizations/{ada.organization_id}", {"name": "another"})
    watch = ClockWatch(town.records)
    await watch.look()
    assert (await town.call("GET", "/v1/models", key=key["value"])).status_code == 401
    town.clock.set_back(5 * 86_400)
    await watch.look()
    assert (await town.call("GET", "/v1/models", key=key["value"])).status_code == 200
