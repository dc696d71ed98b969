"""Every route with every kind of credential: each lets in whom its access level names, and nobody else."""

import re
from collections.abc import Awaitable, Callable

import httpx

from parley.api.call import Access
from parley.api.routing import Route
from parley.core.principal import FAMILIES, Scope
from parley.domain.accounts.model import ADMIN_SCOPES
from tests.builders_accounts import Person, Town
from tests.builders_routes import declared_routes

Calls = Callable[..., Awaitable[httpx.Response]]

# What opens each level, written down a second time. No scope opens what is for people who are logged in.
OPENS = {
    Access.SESSION: set(),
    Access.READ: {"read", "all"},
    Access.MODEL_REQUEST: {"model.request", "all"},
    Access.KEYS: {"keys", "admin"},
    Access.ADMIN_READ: {"admin.read", "admin"},
    Access.ADMIN: {"admin"},
    Access.OPERATOR: {"operator"},
    Access.METRICS: {"metrics", "operator"},
}
OF_ROLES = {
    "viewer": {"read", "admin.read"},
    "developer": {"all", "keys", "admin.read"},
    "admin": {"all", "admin"},
    "owner": {"all", "admin", "owner"},
}
PROJECTS_SCOPES = {Scope.ALL, Scope.READ, Scope.MODEL_REQUEST, Scope.KEYS} | FAMILIES
# The path's end -> the scope that opens what runs a model there, beside those of its level; the first that fits.
FAMILY_OF = {"/chat/completions": "chat", "/completions": "completions", "/edits": "completions", "/audio/": "audio"}


def is_open(route: Route, scopes: set[str]) -> bool:
    opening = set(OPENS[route.access])
    if route.access is Access.MODEL_REQUEST:
        opening.add(next(scope for part, scope in FAMILY_OF.items() if part in route.path))
    return bool(opening & scopes)


async def misjudged(calls: Calls, scopes: set[str], *, is_person: bool = False) -> list[str]:
    """The routes that let in whom they should not, or keep out whom they should let in."""
    wrong = []
    routes = [route for route in declared_routes() if route.access is not Access.PUBLIC]
    # Behind a log-out nothing is let in.
    for route in sorted(routes, key=lambda route: route.path.endswith("/log_out")):
        path = re.sub(r"\{\w+\}", "x", route.path) + "?start_time=1"
        reply = await calls(route.method, path, {} if route.method == "POST" else None)
        is_welcome = is_person if route.access is Access.SESSION else is_open(route, scopes)
        if (reply.status_code not in {401, 403}) is not is_welcome:
            wrong.append(f"{route.method} {route.path}: {reply.status_code} for {sorted(scopes)}")
    return wrong


def with_key(town: Town, key: str | None) -> Calls:
    return lambda method, path, body: town.call(method, path, body, key=key)


async def test_a_projects_key_opens_what_its_scope_names(town: Town) -> None:
    wrong = []
    for scope in PROJECTS_SCOPES:
        key = await town.new_key(scopes=[scope.value])
        wrong += await misjudged(with_key(town, key["value"]), {scope.value})
    assert wrong == []


async def test_an_admin_key_opens_what_its_scope_names(town: Town) -> None:
    wrong = []
    for scope in ADMIN_SCOPES:
        body = {"name": "a", "scopes": [scope.value]}
        key = await town.ok("POST", "/v1/organization/admin_api_keys", body)
        # To administer is to see what there is: that is added to each.
        assert set(key["scopes"]) == {scope.value, "admin.read"}
        wrong += await misjudged(with_key(town, key["value"]), {scope.value, "admin.read"})
    assert wrong == []
    assert {*PROJECTS_SCOPES, *ADMIN_SCOPES} == set(Scope)


async def test_a_service_accounts_key_opens_what_its_project_works_with(town: Town) -> None:
    path = f"/v1/organization/projects/{await town.project_id()}/service_accounts"
    made = await town.ok("POST", path, {"name": "s"})
    assert await misjudged(with_key(town, made["api_key"]["value"]), {"all"}) == []


async def test_a_key_that_ended_and_none_open_nothing(town: Town) -> None:
    expired, revoked = await town.new_key(expires_at=1), await town.new_key()
    path = f"/v1/organization/projects/{await town.project_id()}/api_keys/{revoked['id']}"
    await town.ok("DELETE", path)
    for key in (expired["value"], revoked["value"], None):
        for route in declared_routes():
            if route.access is not Access.PUBLIC:
                # The address may send twenty wrong keys a minute.
                town.clock.advance(60)
                path = re.sub(r"\{\w+\}", "x", route.path)
                reply = await town.call(route.method, path, {} if route.method == "POST" else None, key=key)
                assert reply.status_code == 401, route


async def test_a_session_opens_what_the_persons_role_may(town: Town) -> None:
    boss = await town.sign_up("boss@example.org")
    projects = [{"id": await town.project_id(boss), "role": "member"}]
    people: dict[str, Person] = {"owner": boss}
    for role in ("admin", "developer", "viewer"):
        people[role] = await town.join(f"{role}@example.org", role, by=boss, projects=projects)
    wrong = [await misjudged(person.call, OF_ROLES[role], is_person=True) for role, person in people.items()]
    assert wrong == [[]] * len(people)
