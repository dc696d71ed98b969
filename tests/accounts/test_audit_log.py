"""The audit log: every change is in it, whole and once, nobody can change it, and it can be taken away as a file."""

import asyncio
import csv
import io
import json
import sqlite3
from contextlib import closing

import pytest

from parley.api.platform.commands import AddUpstream, RemoveModel, perform
from parley.core.errors import NotFound
from parley.core.upstream import UpstreamKind
from parley.domain.accounts.people import Member, Role, User
from parley.domain.audit.model import Change
from parley.domain.catalog.entries import UpstreamEntry
from parley.infra.db import Transaction
from parley.operations.authority import note
from parley.operations.command_line import operator
from tests.builders_accounts import Town, told_of_parts

HOUSE = "/v1/organization"


async def test_a_change_is_noted_with_who_what_before_after_and_from_where(town: Town) -> None:
    project = await town.ok("POST", f"{HOUSE}/projects", {"name": "old"})
    await town.ok("POST", f"{HOUSE}/projects/{project['id']}", {"name": "new"}, user_agent="curl/8")
    entry = (await town.ok("GET", f"{HOUSE}/audit_logs?limit=1"))["data"][0]
    assert entry["type"] == "project.updated"
    assert (entry["before"]["name"], entry["after"]["name"]) == ("old", "new")
    assert entry["actor"]["type"] == "api_key"
    assert entry["actor"]["ip_address"] == "127.0.0.1"
    assert entry["actor"]["user_agent"] == "curl/8"
    assert entry["project.updated"]["id"] == entry["resource_id"] == project["id"]


async def test_every_route_that_changes_something_leaves_an_entry(town: Town) -> None:
    ada = await town.sign_up("ada@example.org")
    project = (await ada.call("POST", f"{HOUSE}/projects", {"name": "p"})).json()["id"]
    inside = f"{HOUSE}/projects/{project}"
    user = await town.join("dev@example.org", "developer", by=ada)
    key = (await ada.call("POST", f"{inside}/api_keys", {"name": "k"})).json()["id"]
    bot = (await ada.call("POST", f"{inside}/service_accounts", {"name": "bot"})).json()["id"]
    admin = (await ada.call("POST", f"{HOUSE}/admin_api_keys", {"name": "a"})).json()["id"]
    invite = (await ada.call("POST", f"{HOUSE}/invites", {"email": "x@example.org", "role": "reader"})).json()["id"]
    steps = [
        ("POST", f"{inside}/users", {"user_id": user.user_id, "role": "member"}, "project.user.added"),
        ("POST", f"{inside}/users/{user.user_id}", {"role": "reader"}, "project.user.updated"),
        ("DELETE", f"{inside}/users/{user.user_id}", None, "project.user.deleted"),
        ("POST", f"{HOUSE}/users/{user.user_id}", {"role": "viewer"}, "user.updated"),
        ("DELETE", f"{HOUSE}/users/{user.user_id}", None, "user.deleted"),
        ("POST", f"{inside}/api_keys/{key}", {"name": "k2"}, "api_key.updated"),
        ("DELETE", f"{inside}/api_keys/{key}", None, "api_key.deleted"),
        ("DELETE", f"{HOUSE}/admin_api_keys/{admin}", None, "api_key.deleted"),
        ("DELETE", f"{inside}/service_accounts/{bot}", None, "service_account.deleted"),
        ("DELETE", f"{HOUSE}/invites/{invite}", None, "invite.deleted"),
        ("POST", inside, {"name": "q"}, "project.updated"),
        ("POST", f"{inside}/archive", None, "project.archived"),
    ]
    for method, path, body, type_ in steps:
        reply = await ada.call(method, path, body)
        assert reply.status_code == 200, reply.text
        entries = (await ada.call("GET", f"{HOUSE}/audit_logs?limit=2")).json()["data"]
        assert type_ in {entry["type"] for entry in entries}
        assert entries[0]["actor"]["session"]["user"]["email"] == "ada@example.org"
    everything = (await ada.call("GET", f"{HOUSE}/audit_logs?limit=100")).json()["data"]
    assert {"organization.created", "user.added", "login.succeeded", "invite.sent", "invite.accepted"} <= {
        entry["type"] for entry in everything
    }


@pytest.mark.parametrize("owner", ["member", "service account"])
async def test_each_key_that_is_revoked_with_its_owner_leaves_an_entry(town: Town, owner: str) -> None:
    ada = await town.sign_up("ada@example.org")
    inside = f"{HOUSE}/projects/{await town.project_id(ada)}"
    if owner == "member":
        bob = await town.join("bob@example.org", "admin", by=ada)
        made = [(await bob.call("POST", f"{inside}/api_keys", {"name": name})).json()["id"] for name in "ab"]
        gone = (await bob.call("DELETE", f"{inside}/api_keys/{made.pop()}")).json()["id"]
        path, type_ = f"{HOUSE}/users/{bob.user_id}", "user.deleted"
    else:
        account = (await ada.call("POST", f"{inside}/service_accounts", {"name": "bot"})).json()
        made, gone = [account["api_key"]["id"]], ""
        path, type_ = f"{inside}/service_accounts/{account['id']}", "service_account.deleted"
    town.clock.advance(10)
    assert (await ada.call("DELETE", path)).status_code == 200
    now = int(town.clock.now())
    entries = (await ada.call("GET", f"{HOUSE}/audit_logs?effective_at[gte]={now}")).json()["data"]
    assert [entry["type"] for entry in entries] == [type_] + ["api_key.deleted"] * len(made)
    assert gone not in {entry["resource_id"] for entry in entries}
    for key_id, entry in zip(made, entries[1:], strict=True):
        assert (entry["resource_id"], entry["actor"]["session"]["user"]["email"]) == (key_id, "ada@example.org")
        assert (entry["before"]["revoked_at"], entry["after"]["revoked_at"]) == (None, town.clock.now())


async def test_a_key_that_is_revoked_twice_leaves_one_entry(town: Town) -> None:
    key = await town.new_key()
    for _ in range(2):
        await town.ok("DELETE", f"{HOUSE}/projects/{key['project_id']}/api_keys/{key['id']}")
    (entry,) = (await town.ok("GET", f"{HOUSE}/audit_logs?event_types[]=api_key.deleted"))["data"]
    assert entry["resource_id"] == key["id"]


async def test_no_entry_shows_what_a_secret_is_recognised_by(town: Town) -> None:
    actor = await operator(town.records)
    user = User(id="user_1", email="ada@example.org", name="Ada", created_at=1.0, password_hash="$argon2id$hash")
    for shown in (user, Member(user=user, role=Role.OWNER, added_at=2.0)):
        await town.records.database.transaction(
            lambda unit, after=shown: note(town.records, unit, actor, "user.added", after=after)
        )
    text = (await town.call("GET", f"{HOUSE}/audit_logs")).text
    assert "ada@example.org" in text
    assert "argon2id" not in text


async def test_what_was_refused_leaves_no_entry(town: Town) -> None:
    before = await town.ok("GET", f"{HOUSE}/audit_logs")
    assert (await town.call("POST", f"{HOUSE}/projects/proj_x", {"name": "p"})).status_code == 404
    assert (await town.call("POST", f"{HOUSE}/projects", {"name": ""})).status_code == 400
    assert await town.ok("GET", f"{HOUSE}/audit_logs") == before


async def test_an_entry_and_its_change_are_kept_together_or_not_at_all(town: Town) -> None:
    actor = await operator(town.records)

    def half(transaction: Transaction) -> None:
        project = town.records.accounts.add_project(transaction, actor.organization_id, "half")
        note(town.records, transaction, actor, "project.created", after=project)
        raise NotFound("in the middle")

    before = await town.ok("GET", f"{HOUSE}/audit_logs")
    with pytest.raises(NotFound):
        await town.records.database.transaction(half)
    assert await town.ok("GET", f"{HOUSE}/audit_logs") == before
    assert "half" not in (await town.call("GET", f"{HOUSE}/projects")).text


async def test_the_database_itself_refuses_to_change_or_delete_an_entry(town: Town) -> None:
    await town.ok("POST", f"{HOUSE}/projects", {"name": "p"})
    with closing(sqlite3.connect(town.records.folder.path / "parley.db")) as connection:
        columns = "position, id, effective_at, organization_id, type, resource_id, actor_kind, actor_id"
        entry = "'audit_log-x', 1.0, 'org', 'x', 'x', 'api_key', 'x'"
        kept = connection.execute("SELECT id, effective_at, type FROM audit_log").fetchall()
        for statement in (
            "UPDATE audit_log SET type = 'x'",
            "DELETE FROM audit_log",
            f"INSERT OR REPLACE INTO audit_log ({columns}) SELECT max(position), {entry} FROM audit_log",
            f"REPLACE INTO audit_log ({columns}) SELECT max(position) + 1, id, 1.0, 'org', 'x', 'x', 'api_key', 'x' FROM audit_log",
        ):
            with pytest.raises(sqlite3.IntegrityError, match="only grows"):
                connection.execute(statement)
        assert connection.execute("SELECT id, effective_at, type FROM audit_log").fetchall() == kept


async def test_models_that_come_and_go_are_noted_with_what_answers_beside_them(town: Town) -> None:
    upstream = UpstreamEntry(kind=UpstreamKind.VLLM, url="http://127.0.0.1:9/v1", model="org/model")
    added = await perform(
        town.records, AddUpstream(name="far", upstream=upstream, context_length=4096), lambda _: False
    )
    assert added.error is None
    removed = await perform(town.records, RemoveModel(name="far"), lambda _: False)
    assert removed.error is None
    refused = await perform(town.records, RemoveModel(name="far"), lambda _: False)
    assert refused.error is not None
    gone, came, *_ = (await town.ok("GET", f"{HOUSE}/audit_logs"))["data"]
    assert (came["type"], gone["type"]) == ("model.added", "model.removed")
    assert came["actor"]["type"] == gone["actor"]["type"] == "command_line"
    assert came["before"] is None
    assert gone["after"] is None
    assert came["after"]["upstream"] == gone["before"]["upstream"] == "http://127.0.0.1:9/v1"
    assert came["after"]["weights"] == gone["before"]["weights"] == "far-upstream"
    assert came["after"]["default_weights"] == town.records.catalog.default_weights.name


async def test_entries_are_found_by_type_actor_resource_and_time(town: Town) -> None:
    first = await town.ok("POST", f"{HOUSE}/projects", {"name": "first"})
    town.clock.advance(100)
    second = await town.ok("POST", f"{HOUSE}/projects", {"name": "second"})
    now = int(town.clock.now())

    async def found(query: str) -> list[str]:
        return [entry["resource_id"] for entry in (await town.ok("GET", f"{HOUSE}/audit_logs?{query}"))["data"]]

    assert await found("event_types[]=project.created") == [second["id"], first["id"]]
    assert await found(f"resource_ids[]={first['id']}") == [first["id"]]
    assert await found(f"effective_at[gte]={now}") == [second["id"]]
    assert await found(f"effective_at[gt]={now}") == []
    assert await found(f"effective_at[lt]={now}&event_types[]=project.created") == [first["id"]]
    assert await found("actor_emails[]=nobody@example.org") == []
    # A bound that is nonsense is refused beside one that would be enough.
    both = await town.call("GET", f"{HOUSE}/audit_logs?effective_at[gte]={now}&effective_at[gt]=-1")
    assert both.json()["error"]["param"] == "effective_at[gt]"
    page = await town.ok("GET", f"{HOUSE}/audit_logs?limit=1")
    assert page["has_more"]
    assert await found(f"limit=1&after={page['last_id']}") == [first["id"]]


async def test_the_log_is_read_towards_its_newest_entry_with_before(town: Town) -> None:
    for name in "abcdefg":
        await town.ok("POST", f"{HOUSE}/projects", {"name": name})

    async def page(query: str) -> tuple[list[str], bool]:
        found = await town.ok("GET", f"{HOUSE}/audit_logs?event_types[]=project.created&{query}")
        return [entry["id"] for entry in found["data"]], found["has_more"]

    everything, _ = await page("limit=100")
    assert await page(f"limit=2&before={everything[4]}") == (everything[2:4], True)
    assert await page(f"limit=2&before={everything[2]}") == (everything[:2], False)
    assert await page(f"before={everything[0]}") == ([], False)
    assert await page(f"limit=100&after={everything[4]}") == (everything[5:], False)
    both = await town.call("GET", f"{HOUSE}/audit_logs?after={everything[0]}&before={everything[2]}")
    assert (both.status_code, both.json()["error"]["param"]) == (400, "before")


async def test_the_log_comes_as_lines_or_as_a_table_that_no_spreadsheet_obeys(town: Town) -> None:
    await town.ok("POST", f"{HOUSE}/projects", {"name": "p"}, user_agent="=cmd()")
    lines = (await town.call("GET", f"{HOUSE}/audit_logs/export")).text.splitlines()
    table = list(csv.DictReader(io.StringIO((await town.call("GET", f"{HOUSE}/audit_logs/export?format=csv")).text)))
    assert [json.loads(line)["id"] for line in lines] == [row["id"] for row in table]
    assert table[0]["user_agent"] == "'=cmd()"
    assert json.loads(table[0]["after"])["name"] == "p"


async def note_projects(town: Town, num: int) -> None:
    actor, house = await operator(town.records), (await town.ok("GET", HOUSE))["id"]

    def note_all(transaction: Transaction) -> None:
        for number in range(num):
            change = Change(
                type="project.created", organization_id=house, resource_id=f"proj_{number}", after={"name": "=p"}
            )
            town.records.audit.note(transaction, actor, change)

    await town.records.database.transaction(note_all)


@pytest.mark.parametrize("form", ["jsonl", "csv"])
async def test_a_long_log_comes_in_portions_whole_and_in_order_and_others_have_turns_between(
    town: Town, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    await note_projects(town, 100)
    path = f"{HOUSE}/audit_logs/export?format={form}"
    at_once = (await town.call("GET", path)).text
    rows = csv.DictReader(io.StringIO(at_once)) if form == "csv" else map(json.loads, at_once.splitlines())
    assert [row["resource_id"] for row in rows][:100] == [f"proj_{number}" for number in reversed(range(100))]
    monkeypatch.setattr("parley.api.platform.audit_logs.PORTION_ROWS", 7)
    parts: list[bytes] = []
    turns: list[tuple[int, int]] = []

    async def note_turn(part: bytes) -> None:
        parts.append(part)
        num = len(parts)
        asyncio.get_running_loop().call_soon(lambda: turns.append((num, len(parts))))

    with told_of_parts(town, note_turn):
        reply = await town.call("GET", path)
    assert reply.text == at_once
    filled = [part for part in parts if part]
    assert len(filled) > 100 / 7
    assert max(part.count(b"proj_") for part in filled) == 7
    # The loop had its turn after each portion, before the next one came.
    assert turns[: len(filled) - 1] == [(num, num) for num in range(1, len(filled))]


async def test_a_log_longer_than_a_file_is_continued_where_the_file_says(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    await note_projects(town, 20)
    whole = (await town.call("GET", f"{HOUSE}/audit_logs/export")).text
    monkeypatch.setattr("parley.api.platform.audit_logs.PORTION_ROWS", 4)
    monkeypatch.setattr("parley.api.platform.audit_logs._MAX_EXPORTED", 6)
    after, files = "", []
    while after is not None:
        reply = await town.call("GET", f"{HOUSE}/audit_logs/export?after={after}")
        after = reply.headers.get("x-parley-next-after")
        files.append(reply.text)
    assert "".join(files) == whole
    assert {file.count("\n") for file in files[:-1]} == {6}


async def test_what_is_noted_while_the_log_is_taken_away_moves_none_of_it(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    await note_projects(town, 20)
    whole = (await town.call("GET", f"{HOUSE}/audit_logs/export")).text
    monkeypatch.setattr("parley.api.platform.audit_logs.PORTION_ROWS", 4)
    monkeypatch.setattr("parley.api.platform.audit_logs._MAX_EXPORTED", 18)
    actor, house = await operator(town.records), (await town.ok("GET", HOUSE))["id"]
    change = Change(type="project.created", organization_id=house, resource_id="proj_new")

    async def note_one(_part: bytes) -> None:
        await town.records.database.transaction(lambda t: town.records.audit.note(t, actor, change))

    with told_of_parts(town, note_one):
        taken = (await town.call("GET", f"{HOUSE}/audit_logs/export")).text
    assert taken.splitlines() == whole.splitlines()[:18]
    newest = (await town.ok("GET", f"{HOUSE}/audit_logs?limit=5"))["data"]
    assert {entry["resource_id"] for entry in newest} == {"proj_new"}
