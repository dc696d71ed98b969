"""What keys may, what roles may, that nobody makes a key that may more, and that what is revoked is over."""

import sqlite3
from contextlib import closing

import pytest

from parley.core.principal import Scope, closure
from parley.domain.accounts.model import ADMIN_SCOPES
from tests.builders_accounts import Town

HOUSE = "/v1/organization"
# What only the server sets, in every spelling that a row or a reply has it.
SERVER_SET = (
    "id",
    "object",
    "created_at",
    "archived_at",
    "status",
    "organization_id",
    "project_id",
    "user_id",
    "digest",
    "last_four",
    "revoked_at",
    "last_used_at",
    "is_admin",
    "is_house",
    "is_metered",
    "owner",
    "password_hash",
    "service_account_id",
    "budget_nano",
    "value",
)
WRITES = (
    ("/projects", {"name": "p"}),
    ("/projects/{project}", {"name": "p"}),
    ("/projects/{project}/service_accounts", {"name": "s"}),
    ("/projects/{project}/api_keys", {"name": "k"}),
    ("/admin_api_keys", {"name": "a"}),
    ("/invites", {"email": "x@example.org", "role": "reader"}),
)


@pytest.mark.parametrize("write", WRITES, ids=[path for path, _ in WRITES])
async def test_i5_what_the_server_sets_cannot_be_sent(town: Town, write: tuple[str, dict[str, str]]) -> None:
    path, body = write
    path = HOUSE + path.format(project=await town.project_id())
    for name in SERVER_SET:
        if name in body:
            continue
        reply = await town.call("POST", path, body | {name: "x"})
        assert reply.status_code == 400, name
        assert name in reply.json()["error"]["message"]
    made = await town.call("POST", path, body)
    assert made.status_code == 200
    # What is shown once is kept nowhere on the way.
    shows_key = "api_keys" in path or "service_accounts" in path
    assert made.headers.get("cache-control") == ("no-store" if shows_key else None)


NOT_GRANTED_BY_ADMIN = sorted(set(Scope) - closure(frozenset({Scope.ADMIN})))


@pytest.mark.parametrize("scope", NOT_GRANTED_BY_ADMIN)
async def test_i5_a_key_makes_no_key_that_may_more_than_itself(town: Town, scope: Scope) -> None:
    made = await town.ok("POST", f"{HOUSE}/admin_api_keys", {"name": "m", "scopes": ["admin"]})
    path = f"{HOUSE}/projects/{await town.project_id()}/api_keys"
    for where in (f"{HOUSE}/admin_api_keys",) if scope in ADMIN_SCOPES else (path, f"{HOUSE}/admin_api_keys"):
        reply = await town.call("POST", where, {"name": "k", "scopes": [scope]}, key=made["value"])
        assert (reply.status_code, scope in reply.json()["error"]["message"]) == (401, True)


@pytest.mark.parametrize("scope", sorted(ADMIN_SCOPES))
async def test_a_key_of_a_project_is_never_given_what_administers(town: Town, scope: Scope) -> None:
    key = await town.new_key()
    path = f"{HOUSE}/projects/{key['project_id']}/api_keys"
    for where, body in ((path, {"name": "k"}), (f"{path}/{key['id']}", {})):
        reply = await town.call("POST", where, body | {"scopes": ["all", scope]})
        error = reply.json()["error"]
        assert (reply.status_code, error["param"]) == (400, "scopes")
        assert "/v1/organization/admin_api_keys" in error["message"]
    assert (await town.ok("GET", f"{path}/{key['id']}"))["scopes"] == key["scopes"]


async def test_what_administers_counts_for_nothing_in_a_key_of_a_project_that_an_earlier_version_gave_it(
    town: Town,
) -> None:
    key = await town.new_key(scopes=["chat"])
    with closing(sqlite3.connect(town.records.folder.path / "parley.db")) as connection, connection:
        connection.execute("""UPDATE keys SET scopes = '["chat", "admin"]' WHERE id = ?""", (key["id"],))
    await town.ok("POST", f"{HOUSE}/projects/{key['project_id']}", {"name": "has the keys read again"})
    assert town.records.keys.authenticate(key["value"]).scopes == {Scope.CHAT}
    path = f"{HOUSE}/projects/{key['project_id']}/api_keys/{key['id']}"
    assert (await town.ok("GET", path))["scopes"] == ["chat"]
    assert (await town.ok("POST", f"{path}/rotate"))["scopes"] == ["chat"]


async def test_i5_models_end_limits_and_budget_of_a_key_are_within_its_makers(town: Town) -> None:
    maker = await town.new_key(
        scopes=["keys", "chat"],
        models=["gpt-4"],
        expires_at=1_677_700_000,
        limits={"requests_per_minute": 10},
        monthly_budget_usd=5,
    )
    path = f"{HOUSE}/projects/{await town.project_id()}/api_keys"
    wanted = {
        "name": "k",
        "scopes": ["chat"],
        "expires_at": 1_777_000_000,
        "limits": {"requests_per_minute": 99, "tokens_per_minute": 7},
        "monthly_budget_usd": 99,
    }
    made = await town.ok("POST", path, wanted, key=maker["value"])
    assert made["models"] == ["gpt-4"]
    assert made["expires_at"] == 1_677_700_000
    assert made["limits"] == {"requests_per_minute": 10, "tokens_per_minute": 7}
    assert made["monthly_budget_usd"] == 5
    reply = await town.call("POST", path, wanted | {"models": ["davinci"]}, key=maker["value"])
    assert reply.status_code == 400


async def test_i5_a_key_cannot_be_raised_by_a_change(town: Town) -> None:
    maker = await town.new_key(scopes=["keys", "chat"])
    path = f"{HOUSE}/projects/{await town.project_id()}/api_keys/{maker['id']}"
    reply = await town.call("POST", path, {"scopes": ["all"]}, key=maker["value"])
    assert reply.status_code == 401
    assert town.records.keys.authenticate(maker["value"]).scopes == {Scope.KEYS, Scope.CHAT}


async def test_i5_an_admin_neither_makes_nor_unmakes_an_owner(town: Town) -> None:
    boss = await town.sign_up("boss@example.org")
    admin = await town.join("admin@example.org", "admin", by=boss)
    for body in ({"role": "owner"}, {"role": "viewer"}):
        assert (await admin.call("POST", f"{HOUSE}/users/{boss.user_id}", body)).status_code == 401
    assert (await admin.call("POST", f"{HOUSE}/users/{admin.user_id}", {"role": "owner"})).status_code == 401
    assert (await admin.call("DELETE", f"{HOUSE}/users/{boss.user_id}")).status_code == 401
    invite = {"email": "friend@example.org", "role": "owner"}
    assert (await admin.call("POST", f"{HOUSE}/invites", invite)).status_code == 401
    assert (await boss.call("POST", f"{HOUSE}/invites", invite)).status_code == 200
    made = await boss.call("POST", f"{HOUSE}/admin_api_keys", {"name": "k", "scopes": ["owner", "admin"]})
    for who, status in ((admin, 401), (boss, 200)):
        assert (await who.call("DELETE", f"{HOUSE}/admin_api_keys/{made.json()['id']}")).status_code == status


async def test_the_last_owner_stays(town: Town) -> None:
    boss = await town.sign_up("boss@example.org")
    for method, body in (("DELETE", None), ("POST", {"role": "admin"})):
        reply = await boss.call(method, f"{HOUSE}/users/{boss.user_id}", body)
        assert (reply.status_code, reply.json()["error"]["code"]) == (400, "last_owner")


async def test_an_owner_of_another_organization_does_not_operate_the_installation(town: Town) -> None:
    boss = await town.sign_up("boss@example.org")
    assert (await boss.call("GET", "/v1/organizations")).status_code == 401
    assert (await boss.call("GET", f"/v1/organizations/{boss.organization_id}")).status_code == 401
    assert (await town.call("GET", "/v1/organizations")).status_code == 200


@pytest.mark.parametrize(
    ("role", "may_read", "may_make_keys", "may_make_projects"),
    [("viewer", True, False, False), ("developer", True, True, False), ("admin", True, True, True)],
)
async def test_each_role_may_what_it_is_for(
    town: Town, role: str, may_read: bool, may_make_keys: bool, may_make_projects: bool
) -> None:
    project_id = await town.project_id()
    person = await town.join("p@example.org", role, projects=[{"id": project_id, "role": role}])
    path = f"{HOUSE}/projects/{project_id}"
    assert ((await person.call("GET", path)).status_code == 200) is may_read
    assert ((await person.call("POST", f"{path}/api_keys", {"name": "k"})).status_code == 200) is may_make_keys
    assert ((await person.call("POST", f"{HOUSE}/projects", {"name": "p"})).status_code == 200) is may_make_projects


async def test_a_developer_sees_their_own_projects_alone_and_others_are_missing(town: Town) -> None:
    mine, other = await town.project_id(), (await town.ok("POST", f"{HOUSE}/projects", {"name": "other"}))["id"]
    dev = await town.join("dev@example.org", "developer", projects=[{"id": mine, "role": "member"}])
    assert [project["id"] for project in (await dev.call("GET", f"{HOUSE}/projects")).json()["data"]] == [mine]
    hidden = await dev.call("GET", f"{HOUSE}/projects/{other}")
    missing = await dev.call("GET", f"{HOUSE}/projects/proj_nothing")
    assert (hidden.status_code, hidden.content) == (missing.status_code, missing.content)
    assert hidden.status_code == 404


async def test_a_developer_changes_their_own_keys_and_not_the_others(town: Town) -> None:
    project_id = await town.project_id()
    theirs = await town.new_key()
    dev = await town.join("dev@example.org", "developer", projects=[{"id": project_id, "role": "member"}])
    path = f"{HOUSE}/projects/{project_id}/api_keys"
    own = (await dev.call("POST", path, {"name": "mine"})).json()
    assert own["owner"]["user"]["email"] == "dev@example.org"
    assert (await dev.call("DELETE", f"{path}/{theirs['id']}")).status_code == 404
    assert (await dev.call("DELETE", f"{path}/{own['id']}")).status_code == 200


async def test_a_key_loses_what_its_persons_role_loses(town: Town) -> None:
    project_id = await town.project_id()
    dev = await town.join("dev@example.org", "developer", projects=[{"id": project_id, "role": "member"}])
    key = (await dev.call("POST", f"{HOUSE}/projects/{project_id}/api_keys", {"name": "k"})).json()["value"]
    assert town.records.keys.authenticate(key).may(Scope.MODEL_REQUEST)
    await town.ok("POST", f"{HOUSE}/users/{dev.user_id}", {"role": "viewer"})
    assert town.records.keys.authenticate(key).scopes == {Scope.READ}
    await town.ok("DELETE", f"{HOUSE}/projects/{project_id}/users/{dev.user_id}")
    assert town.records.keys.authenticate(key) is None
    await town.ok("DELETE", f"{HOUSE}/users/{dev.user_id}")
    assert (await dev.call("GET", "/v1/account/session")).status_code == 401


async def test_i7_a_revoked_key_an_archived_project_and_a_deleted_account_are_over_at_once(town: Town) -> None:
    project = await town.ok("POST", f"{HOUSE}/projects", {"name": "p"})
    path = f"{HOUSE}/projects/{project['id']}"
    first = await town.ok("POST", f"{path}/api_keys", {"name": "k"})
    second = (await town.ok("POST", f"{path}/api_keys", {"name": "k"}))["value"]
    account = await town.ok("POST", f"{path}/service_accounts", {"name": "bot"})
    third = account["api_key"]["value"]
    for key in (first["value"], second, third):
        assert (await town.call("GET", "/v1/models", key=key)).status_code == 200
    await town.ok("DELETE", f"{path}/api_keys/{first['id']}")
    await town.ok("DELETE", f"{path}/service_accounts/{account['id']}")
    assert (await town.call("GET", "/v1/models", key=first["value"])).status_code == 401
    assert (await town.call("GET", "/v1/models", key=third)).status_code == 401
    await town.ok("POST", f"{path}/archive")
    assert (await town.call("GET", "/v1/models", key=second)).status_code == 401


async def test_a_key_ends_when_it_says(town: Town) -> None:
    key = (await town.new_key(expires_at=int(town.clock.now()) + 60))["value"]
    assert (await town.call("GET", "/v1/models", key=key)).status_code == 200
    town.clock.advance(60)
    assert (await town.call("GET", "/v1/models", key=key)).status_code == 401


async def test_a_rotated_key_counts_beside_the_new_one_for_its_overlap(town: Town) -> None:
    old = await town.new_key(scopes=["chat"], models=["gpt-4"])
    path = f"{HOUSE}/projects/{old['project_id']}/api_keys/{old['id']}/rotate"
    new = await town.ok("POST", path, {"overlap_seconds": 60})
    assert (new["scopes"], new["models"]) == (old["scopes"], old["models"])
    for key in (old["value"], new["value"]):
        assert town.records.keys.authenticate(key) is not None
    town.clock.advance(60)
    assert town.records.keys.authenticate(old["value"]) is None
    assert town.records.keys.authenticate(new["value"]) is not None
    newest = await town.ok("POST", path.replace(old["id"], new["id"]))
    assert town.records.keys.authenticate(new["value"]) is None
    assert town.records.keys.authenticate(newest["value"]) is not None


async def test_an_overlap_makes_no_key_count_longer_than_it_would_have(town: Town) -> None:
    old = await town.new_key(expires_at=int(town.clock.now()) + 60)
    path = f"{HOUSE}/projects/{old['project_id']}/api_keys/{old['id']}/rotate"
    new = await town.ok("POST", path, {"overlap_seconds": 3_600})
    town.clock.advance(59)
    keys = old["value"], new["value"]
    assert all(town.records.keys.authenticate(key) is not None for key in keys)
    town.clock.advance(1)
    assert [town.records.keys.authenticate(key) for key in keys] == [None, None]


async def test_a_revoked_key_comes_back_neither_by_a_change_nor_by_rotation(town: Town) -> None:
    key = await town.new_key()
    path = f"{HOUSE}/projects/{key['project_id']}/api_keys/{key['id']}"
    await town.ok("DELETE", path)
    for where, body in ((path, {"name": "x", "expires_at": 2_000_000_000}), (f"{path}/rotate", {})):
        assert (await town.call("POST", where, body)).status_code == 404
    assert town.records.keys.authenticate(key["value"]) is None


@pytest.mark.parametrize(
    ("scopes", "path", "status"),
    [
        (["chat"], "/v1/chat/completions", 400),
        (["chat"], "/v1/completions", 401),
        (["completions"], "/v1/completions", 400),
        (["completions"], "/v1/edits", 400),
        (["completions"], "/v1/chat/completions", 401),
        (["read"], "/v1/chat/completions", 401),
        (["model.request"], "/v1/chat/completions", 400),
        (["all"], "/v1/chat/completions", 400),
    ],
)
async def test_a_key_for_one_family_is_refused_by_the_others(
    town: Town, scopes: list[str], path: str, status: int
) -> None:
    # 400: let in, and refused for the body, which is empty.
    key = (await town.new_key(scopes=scopes))["value"]
    assert (await town.call("POST", path, {}, key=key)).status_code == status


async def test_a_kept_reply_is_not_told_to_a_key_that_may_not_use_the_model(town: Town) -> None:
    chat = {"model": "echo-1", "messages": [{"role": "user", "content": "hello"}]}
    whole, equal = [(await town.new_key())["value"] for _ in range(2)]
    narrow = (await town.new_key(models=["ada"]))["value"]
    first, again, refused = [
        await town.call("POST", "/v1/chat/completions", chat, key=key, idempotency_key="order-1")
        for key in (whole, equal, narrow)
    ]
    assert again.json() == first.json()
    assert again.headers["idempotent-replayed"] == "true"
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "idempotency_key_reused")


async def test_a_keys_last_use_is_seen_at_once_and_kept(town: Town) -> None:
    key = await town.new_key()
    assert key["last_used_at"] is None
    town.clock.advance(100)
    await town.call("GET", "/v1/models", key=key["value"])
    path = f"{HOUSE}/projects/{key['project_id']}/api_keys/{key['id']}"
    assert (await town.ok("GET", path))["last_used_at"] == int(town.clock.now())
    used = town.records.keys.take_used()
    await town.records.database.transaction(lambda transaction: town.records.accounts.note_used(transaction, used))
    assert (await town.ok("GET", path))["last_used_at"] == int(town.clock.now())


async def test_a_key_is_shown_once(town: Town) -> None:
    key = await town.new_key()
    admin = await town.ok("POST", f"{HOUSE}/admin_api_keys", {"name": "a"})
    for path in (f"/projects/{key['project_id']}/api_keys", "/admin_api_keys", "/audit_logs", "/audit_logs/export"):
        shown = (await town.call("GET", HOUSE + path)).text
        assert key["value"] not in shown
        assert admin["value"] not in shown
        assert town.owner_key not in shown
    assert key["redacted_value"] == f"sk-...{key['value'][-4:]}"


async def test_lists_come_in_pages(town: Town) -> None:
    made = [(await town.ok("POST", f"{HOUSE}/projects", {"name": f"p{n}"}))["id"] for n in range(5)]
    ids, after = [], ""
    while True:
        page = await town.ok("GET", f"{HOUSE}/projects?limit=2&after={after}")
        ids += [project["id"] for project in page["data"]]
        assert (page["first_id"], page["last_id"]) == (page["data"][0]["id"], page["data"][-1]["id"])
        if not page["has_more"]:
            break
        after = page["last_id"]
    assert len(ids) == len(set(ids)) == 6
    assert set(made) < set(ids)
    several = ("limit=x&limit=", "limit=1&limit=2", "after=a&after=b", "include_archived=true&include_archived=true")
    empty = ("limit=", "include_archived=")
    for query in ("limit=0", "limit=101", "limit=x", f"after={'a' * 200}", "include_archived=maybe", *several, *empty):
        assert (await town.call("GET", f"{HOUSE}/projects?{query}")).status_code == 400
