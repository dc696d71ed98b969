"""I3, I4: every route of administration with another's ids is as if they did not exist, byte for byte; without a key, 401."""

import json
import re
from dataclasses import dataclass

import pytest

from parley.api.call import Access
from parley.api.routing import Route
from tests.builders_accounts import Person, Town
from tests.builders_routes import declared_routes

BODIES = {
    "name": "x",
    "role": "reader",
    "user_id": "user-x",
    "email": "x@example.org",
    "status": "active",
}
# Parts of paths that name what is an organization's own, and those that name what everybody may see.
OWNED = {
    "organization_id",
    "project_id",
    "key_id",
    "service_account_id",
    "user_id",
    "invite_id",
    "rate_limit_id",
}
SHARED = {"model", "engine_id"}


@dataclass
class Estate:
    """One of everything that has an id."""

    ids: dict[str, str]


async def estate_of(town: Town, person: Person) -> Estate:
    async def made(path: str, body: dict[str, object]) -> dict[str, object]:
        reply = await person.call("POST", path, body)
        assert reply.status_code == 200, reply.text
        return reply.json()

    project = (await made("/v1/organization/projects", {"name": "secret plans"}))["id"]
    inside = f"/v1/organization/projects/{project}"
    invite = (await made("/v1/organization/invites", {"email": "late@example.org", "role": "reader"}))["id"]
    await made(f"{inside}/users", {"user_id": person.user_id, "role": "member"})
    return Estate(
        ids={
            "organization_id": person.organization_id,
            "project_id": project,
            "key_id": (await made(f"{inside}/api_keys", {"name": "k"}))["id"],
            "admin_key_id": (await made("/v1/organization/admin_api_keys", {"name": "a"}))["id"],
            "service_account_id": (await made(f"{inside}/service_accounts", {"name": "s"}))["id"],
            "user_id": person.user_id,
            "invite_id": invite,
            "rate_limit_id": "rl-gpt-4",
        }
    )


def path_of(route: Route, ids: dict[str, str]) -> str:
    def put(found: re.Match[str]) -> str:
        name = found.group(1)
        return ids["admin_key_id"] if "admin_api_keys" in route.path and name == "key_id" else ids[name]

    return re.sub(r"\{(\w+)\}", put, route.path)


def body_of(route: Route) -> dict[str, object] | None:
    if route.method != "POST":
        return None
    if route.path.endswith("/users"):
        return {"user_id": "user-x", "role": "reader"}
    if "/users/" in route.path:
        return {"role": "reader"}
    if route.path.endswith(("/rotate", "/archive")):
        return {} if route.path.endswith("/rotate") else None
    if "rate_limits" in route.path:
        return {"max_requests_per_1_minute": 1}
    return {"name": "x"}


MISSING = {
    "organization_id": "org-0000000000000000000000",
    "project_id": "proj_0000000000000000000000",
    "key_id": "key_0000000000000000000000",
    "admin_key_id": "key_0000000000000000000000",
    "service_account_id": "svc_acct_0000000000000000000000",
    "user_id": "user-0000000000000000000000",
    "invite_id": "invite-0000000000000000000000",
    "rate_limit_id": "rl-gpt-4",
}


async def routes_of(town: Town) -> list[Route]:
    """Every route that /openapi.json tells of and that names something of somebody's."""
    document = await town.ok("GET", "/openapi.json", key=None)
    told = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    declared = {(route.method, route.path): route for route in declared_routes()}
    assert told == declared.keys()
    return [declared[one] for one in sorted(told) if OWNED & set(re.findall(r"\{(\w+)\}", one[1]))]


async def test_i4_every_id_in_a_path_is_known_here_as_somebodys_or_as_everybodys(town: Town) -> None:
    # A new kind of id belongs into `estate_of` and OWNED, or into SHARED: then its routes are attacked below.
    document = await town.ok("GET", "/openapi.json", key=None)
    assert {name for path in document["paths"] for name in re.findall(r"\{(\w+)\}", path)} == OWNED | SHARED


@pytest.mark.parametrize("attacker", ["session", "owner of another organization by key"])
async def test_i4_a_foreign_id_is_answered_as_one_that_does_not_exist(town: Town, attacker: str) -> None:
    victim = await town.sign_up("victim@example.org")
    eve = await town.sign_up("eve@example.org")
    estate, own = await estate_of(town, victim), await estate_of(town, eve)
    key = (await eve.call("POST", "/v1/organization/admin_api_keys", {"name": "a"})).json()["value"]

    async def call(method: str, path: str, body: object) -> tuple[int, bytes]:
        if attacker == "session":
            reply = await eve.call(method, path, body)
        else:
            reply = await town.call(method, path, body, key=key)
        return reply.status_code, reply.content

    audited = (await victim.call("GET", "/v1/organization/audit_logs?limit=100")).json()["data"]
    num_asked = 0
    for route in await routes_of(town):
        names = re.findall(r"\{(\w+)\}", route.path)
        # Everything foreign; and one's own project with what is foreign in it, the other way round, and so on.
        for foreign in names:
            if foreign == "rate_limit_id":
                continue
            theirs = own.ids | {name: estate.ids[name] for name in (foreign, f"admin_{foreign}") if name in estate.ids}
            nobodys = own.ids | {name: MISSING[name] for name in (foreign, f"admin_{foreign}") if name in MISSING}
            got = await call(route.method, path_of(route, theirs), body_of(route))
            missing = await call(route.method, path_of(route, nobodys), body_of(route))
            assert got == missing, route
            assert got[0] == (401 if route.access is Access.OPERATOR else 404), (route, got)
            num_asked += 1
    assert num_asked > 30
    after = (await victim.call("GET", "/v1/organization/audit_logs?limit=100")).json()["data"]
    assert after == audited


async def test_i4_a_foreign_id_in_a_body_is_answered_as_one_that_does_not_exist(town: Town) -> None:
    victim, eve = await town.sign_up("victim@example.org"), await town.sign_up("eve@example.org")
    estate = await estate_of(town, victim)
    own_project = await town.project_id(eve)
    writes = {
        "user_id": ("/v1/organization/projects/" + own_project + "/users", {"user_id": "{}", "role": "member"}),
        "project_id": (
            "/v1/organization/invites",
            {"email": "new@example.org", "role": "reader", "projects": [{"id": "{}", "role": "member"}]},
        ),
    }
    for name, (path, body) in writes.items():
        replies = []
        for one in (estate.ids[name], MISSING[name]):
            reply = await eve.call("POST", path, json.loads(json.dumps(body).replace("{}", one)))
            replies.append((reply.status_code, reply.text.replace(one, "")))
        assert replies[0] == replies[1], name
        assert replies[0][0] in {400, 404}, replies


async def test_i4_no_list_shows_what_is_another_organizations(town: Town) -> None:
    victim, eve = await town.sign_up("victim@example.org"), await town.sign_up("eve@example.org")
    estate = await estate_of(town, victim)
    secrets = [*estate.ids.values(), "victim@example.org", "secret plans"]
    secrets.remove("rl-gpt-4")
    own_project = await town.project_id(eve)
    num_lists = 0
    for route in declared_routes():
        if route.method != "GET" or "/organization" not in route.path or route.access is Access.OPERATOR:
            continue
        path = route.path.replace("{project_id}", own_project)
        if "{" in path:
            continue
        for query in ("?limit=100", f"?after={estate.ids['project_id']}", f"?project_ids={estate.ids['project_id']}"):
            shown = (await eve.call("GET", f"{path}{query}&start_time=1")).text
            assert not [secret for secret in secrets if secret in shown], path
            num_lists += 1
    assert num_lists > 20


async def test_i3_nothing_but_the_listed_routes_is_open_without_a_key(town: Town) -> None:
    for route in declared_routes():
        path = re.sub(r"\{\w+\}", "x", route.path)
        reply = await town.call(route.method, path, {} if route.method == "POST" else None, key=None)
        assert (reply.status_code == 401) is (route.access is not Access.PUBLIC), route


@pytest.mark.parametrize(
    "host", ["parley.test/v1/models", "x@parley.test", "health", "parley.test:80/health", "localhost", "[::1]", "a b"]
)
async def test_i2_the_host_header_opens_nothing(town: Town, host: str) -> None:
    for path in ("/v1/models", "/v1/organization/projects", "/v1/organizations"):
        reply = await town.call("GET", path, key=None, host=host)
        assert reply.status_code in {400, 401}
