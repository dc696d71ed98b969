"""What is kept beside the ledger is bound by it: records, grants, budgets, months. Changed behind our back, it is told."""

from enum import StrEnum

import pytest
import sqlalchemy as sa
from msgspec import structs

from parley.core.usage import Usage
from parley.domain.billing.audit import check_chain
from parley.domain.billing.memos import Memos, Seal, seal_of
from parley.domain.billing.model import EntryKind, Grant, Posting
from parley.domain.billing.store import balances, ledger
from parley.domain.billing.verify import Position
from parley.domain.usage.model import digest_of
from parley.domain.usage.store.records import insert_records
from parley.domain.usage.store.sums import add_to_sums
from parley.domain.usage.store.tables import usage_records
from parley.infra.postgres_engine import open_engine
from parley.infra.schema import downgrade, upgrade
from parley.infra.sqlite import open_writer
from parley.operations import credit
from parley.operations.command_line import operator
from parley.operations.rotate_keys import rotate_key
from parley.operations.verification import verify_ledger
from tests.builders_accounts import town
from tests.builders_billing import PRICE, need, open_money
from tests.builders_records import usage_record

USED = Usage(input_tokens=10, cached_tokens=4, output_tokens=5)
NOTHING = Usage()


async def findings_of(bench):
    _, findings = await bench.database.read(lambda connection: verify_ledger(connection, bench.billing))
    return [finding.text for finding in findings]


async def execute(bench, *statements):
    """What somebody does to the database behind our back."""

    def work(unit):
        for statement in statements:
            unit.connection.execute(sa.text(statement))

    await bench.database.transaction(work)


async def furnish(bench):
    """Money of every kind: payments, grants, budgets, requests that cost something and one that cost nothing."""
    await bench.top_up(1_000_000)
    given = await bench.grant(40)
    for scope, limit in (("org-a", 900), ("proj_a", 10_000), ("proj_b", 5), ("proj_b", None)):
        await bench.database.transaction(
            lambda unit, scope=scope, limit=limit: bench.billing.set_budget(unit, scope, limit)
        )
    for number in range(4):
        await bench.settle(bench.hold(f"req_{number}"), USED)
    await bench.settle(bench.hold("req_free"), NOTHING)
    return given


RECORDS = {
    **{
        f"{name} is changed": (
            f"UPDATE usage_records SET {name} = {name} + 1 WHERE request_id = 'req_2'",
            "request req_2 has another usage record",
        )
        for name in (
            "input_tokens",
            "cached_tokens",
            "output_tokens",
            "audio_seconds",
            "training_tokens",
            "num_choices",
        )
    },
    **{
        f"{name} is changed": (
            f"UPDATE usage_records SET {name} = 'another' WHERE request_id = 'req_2'",
            "request req_2 has another usage record",
        )
        for name in ("key_id", "endpoint", "snapshot", "price_version", "user_id", "outcome", "doubt", "end_user")
    },
    "a charge is changed": (
        "UPDATE usage_records SET charge_nano = charge_nano - 1 WHERE request_id = 'req_2'",
        "request req_2 has another usage record",
    ),
    "two charges are swapped for one": (
        "UPDATE usage_records SET charge_nano = charge_nano"
        " + CASE request_id WHEN 'req_1' THEN 1 ELSE -1 END WHERE request_id IN ('req_1', 'req_2')",
        "request req_1 has another usage record",
    ),
    "pictures are added": (
        "UPDATE usage_records SET images = '[[\"256x256\", 1]]' WHERE request_id = 'req_2'",
        "request req_2 has another usage record",
    ),
    "a free request is changed": (
        "UPDATE usage_records SET output_tokens = 7 WHERE request_id = 'req_free'",
        "request req_free has another usage record",
    ),
    "a record is deleted": (
        "DELETE FROM usage_records WHERE request_id = 'req_2'",
        "request req_2 has no usage record",
    ),
    "a free record is deleted": (
        "DELETE FROM usage_records WHERE request_id = 'req_free'",
        "request req_free has no usage record",
    ),
    "a record is added": (
        "INSERT INTO usage_records (request_id, {others}) SELECT 'req_x', {others} FROM usage_records WHERE request_id = 'req_free'",
        "there are 6 usage records; the ledger knows of 5",
    ),
    "another request has the record": (
        "UPDATE usage_records SET request_id = 'req_x' WHERE request_id = 'req_2'",
        "request req_2 has no usage record",
    ),
}


@pytest.mark.parametrize("damage", RECORDS)
async def test_a_usage_record_that_was_changed_is_named(place, damage):
    statement, told = RECORDS[damage]
    others = [column.name for column in usage_records.columns if column.name != "request_id"]
    async with open_money(place) as bench:
        await furnish(bench)
        assert await findings_of(bench) == []
        await execute(bench, statement.replace("{others}", ", ".join(others)))
        assert any(text.startswith(told) for text in await findings_of(bench))


async def test_a_record_that_can_no_longer_be_read_is_named_and_breaks_nothing_off(tmp_path):
    async with open_money(tmp_path / "parley.db") as bench:
        await furnish(bench)
        await execute(
            bench,
            "UPDATE usage_records SET images = 'no JSON' WHERE request_id = 'req_1'",
            "UPDATE usage_records SET created_at = 'never' WHERE request_id = 'req_2'",
        )
        found = await findings_of(bench)
        for request_id in ("req_1", "req_2"):
            assert f"request {request_id} has another usage record than was written" in found
        assert not any("req_3" in text for text in found)


async def test_of_many_records_that_are_gone_some_are_named_and_the_others_counted(tmp_path):
    async with open_money(tmp_path / "parley.db") as bench:
        await bench.top_up(1_000_000)
        for number in range(30):
            await bench.settle(bench.hold(f"req_{number:02}"), USED)
        await execute(bench, "DELETE FROM usage_records")
        found = await findings_of(bench)
        assert sum(text.endswith("has no usage record") for text in found) == 20
        assert "and so it is with 10 requests more" in found


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("UPDATE grants SET expires_at = expires_at + 86400", "is 40 for org-a until"),
        ("UPDATE grants SET amount_nano = 41", "is 41 for org-a until"),
        ("UPDATE grants SET organization_id = 'org-b'", "is 40 for org-b until"),
        ("DELETE FROM grants", "is not there; the ledger says 40 for org-a until"),
        ("INSERT INTO grants VALUES ('grant_x', 'org-a', 5, 9e9, 1.0)", "grant grant_x is 5 for org-a until"),
    ],
)
async def test_a_grant_that_was_changed_is_told(place, statement, told):
    async with open_money(place) as bench:
        await furnish(bench)
        await execute(bench, statement)
        assert any(told in text for text in await findings_of(bench))


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("UPDATE budgets SET limit_nano = 901 WHERE scope = 'org-a'", "org-a: its budget is 901, the ledger says 900"),
        ("DELETE FROM budgets WHERE scope = 'proj_a'", "proj_a: its budget is none, the ledger says 10000"),
        ("INSERT INTO budgets VALUES ('proj_b', 5)", "proj_b: its budget is 5, the ledger says none"),
    ],
)
async def test_a_budget_that_was_changed_is_told(place, statement, told):
    async with open_money(place) as bench:
        await furnish(bench)
        await execute(bench, statement)
        assert await findings_of(bench) == [told]


async def test_a_keys_budget_that_was_changed_is_told_and_one_that_was_set_is_not(tmp_path):
    async with town(tmp_path) as shop:
        records = shop.records
        made = [await shop.new_key(monthly_budget_usd=number) for number in (1, 2, 3)]
        path = f"/v1/organization/projects/{made[0]['project_id']}/api_keys/{made[0]['id']}"
        await shop.ok("POST", path, {"monthly_budget_usd": 4})
        await shop.ok("POST", f"{path}/rotate", {"overlap_seconds": 60})
        await credit.set_budget(records, await operator(records), made[1]["id"], None)

        async def found():
            _, findings = await records.database.read(lambda connection: verify_ledger(connection, records.billing))
            return [finding.text for finding in findings]

        assert await found() == []
        await records.database.transaction(
            lambda unit: unit.connection.execute(
                sa.text("UPDATE keys SET budget_nano = 3000000001 WHERE id = :id"), {"id": made[2]["id"]}
            )
        )
        assert await found() == [f"{made[2]['id']}: its budget is 3000000001, the ledger says 3000000000"]


async def test_what_rotated_keys_spend_is_compared_under_the_name_that_they_share(tmp_path):
    async with town(tmp_path, price=PRICE) as shop:
        records = shop.records
        old = await shop.new_key()
        actor = await operator(records)
        new = await rotate_key(records, actor, old["id"], project_id=None, overlap_seconds=60)
        for key in (old["value"], new.secret):
            body = {"model": "echo-1", "messages": [{"role": "user", "content": "hello"}]}
            await shop.ok("POST", "/v1/chat/completions", body, key=key)
        _, findings = await records.database.read(lambda connection: verify_ledger(connection, records.billing))
        assert findings == []


def write_as_before_memos(place):
    """What a version without memos left: entries without digests, a record of nothing, and a month that was carried over."""
    engine = open_engine(place, may_write=True) if isinstance(place, str) else open_writer(place)
    with engine.connect() as connection:
        downgrade(connection, "0040")
        with connection.begin():
            first = usage_record("req_old")
            record = structs.replace(
                first, organization_id="org-a", project_id="proj_a", key_id="key_b", charge_nano=31
            )
            free = structs.replace(record, request_id="req_old_free", charge_nano=0)
            insert_records(connection, [record, free])
            add_to_sums(connection, [record, free])
            at = round(record.created_at * 1_000_000)
            balances.insert_grant(
                connection,
                Grant(id="grant_old", organization_id="org-a", amount_nano=50, expires_at=2e9),
                created_at=1.5,
            )
            moves = [
                ("grant:grant_old", EntryKind.GRANT, "granted", "grant:grant_old", 50, "at sign-up"),
                ("charge:req_old:0", EntryKind.CHARGE, "grant:grant_old", "revenue", 31, "req_old"),
            ]
            ledger.post(
                connection,
                [
                    Posting(key=key, kind=kind, at=at, debit=debit, credit=to, amount_nano=nano, note=note)
                    for key, kind, debit, to, nano, note in moves
                ],
            )
            # The key took another's place, which had spent 100 in this month.
            spent = {("org-a", "2023-03"): 31, ("proj_a", "2023-03"): 31, ("key_b", "2023-03"): 131}
            balances.add_spend(connection, spent)
            balances.set_budget(connection, "proj_a", 10_000)
    engine.dispose()


OF_OLD = {
    "nothing": ((), None),
    "a grant's end": (("UPDATE grants SET expires_at = 3e9",), "the ledger says 50 for org-a until 2000000000.0"),
    "a budget": (("DELETE FROM budgets",), "proj_a: its budget is none, the ledger says 10000"),
    "a month": (
        ("UPDATE monthly_spend SET spent_nano = 31 WHERE scope = 'key_b'",),
        "key_b: its charges of 2023-03 come to 131, the month's sum to 31",
    ),
    "a count": (
        ("UPDATE usage_records SET output_tokens = 1 WHERE request_id = 'req_old'",),
        "org-a: its usage records come to 8 output_tokens, their sums by day to 14",
    ),
    "a record": (
        ("DELETE FROM usage_records WHERE request_id = 'req_old_free'", "DELETE FROM usage_sums"),
        "there are 2 usage records; the ledger knows of 3",
    ),
}


@pytest.mark.parametrize("damage", OF_OLD)
async def test_a_ledger_of_before_there_were_memos_stays_provable_and_is_bound_from_the_step_on(place, damage):
    statements, told = OF_OLD[damage]
    async with open_money(place):
        pass
    write_as_before_memos(place)
    async with open_money(place) as bench:
        assert await findings_of(bench) == []
        await bench.settle(bench.hold(wanted=need(1, 1)), Usage(input_tokens=1))
        assert await findings_of(bench) == []
        await execute(bench, *statements)
        found = await findings_of(bench)
        assert (found == []) if told is None else any(told in text for text in found)


async def test_going_back_and_coming_again_states_what_was_done_meanwhile(place):
    async with open_money(place) as bench:
        await furnish(bench)
    write_as_before_memos(place)
    for _ in range(2):
        async with open_money(place) as again:
            assert await findings_of(again) == []


async def test_the_step_makes_the_checkpoints_that_are_due(tmp_path):
    path = tmp_path / "parley.db"
    async with open_money(path):
        pass
    engine = open_writer(path)
    with engine.connect() as connection:
        downgrade(connection, "0040")
        with connection.begin():
            for number in range(1_005):
                balances.set_budget(connection, f"proj_{number}", number)
        upgrade(connection)
        with connection.begin():
            assert ledger.last_checkpoint(connection) == 1_000
            assert check_chain(connection, Position())[1] is None
    engine.dispose()


@pytest.mark.parametrize(
    ("kind", "note", "seal"),
    [
        ("charge", "req_1 abc", Seal(request_id="req_1", digest="abc")),
        ("charge", "req_1", Seal(request_id="req_1", digest="")),
        ("memo", "record req_1 abc", Seal(request_id="req_1", digest="abc")),
        ("memo", "budget org-a 5", None),
        ("grant", "req_1 abc", None),
        ("charge", "", None),
    ],
)
def test_an_entry_says_of_which_record_it_is(kind, note, seal):
    assert seal_of(kind, note) == seal


def test_of_memos_about_the_same_thing_the_last_counts_and_nonsense_says_nothing():
    memos = Memos()
    for note in (
        "budget org-a 5",
        "budget org-a 7",
        "budget proj_a 1",
        "budget proj_a none",
        "budget x y",
        "grant",
        "",
    ):
        memos.read(note)
    assert (memos.budgets, memos.grants, memos.months, memos.num_unsealed) == ({"org-a": 7}, {}, {}, 0)


def test_a_digest_is_of_all_that_is_kept_but_how_long_it_took():
    record = usage_record()
    assert digest_of(structs.replace(record, queue_seconds=9.0, ttft_seconds=None, e2e_seconds=8.0)) == digest_of(
        record
    )
    # As it is kept, and as it is read again.
    assert digest_of(structs.replace(record, user="a\x00b")) == digest_of(structs.replace(record, user="a\ufffdb"))
    assert digest_of(structs.replace(record, created_at=5)) == digest_of(structs.replace(record, created_at=5.0))
    others = {
        name: value
        for name, value in vars_of(record).items()
        if name not in {"queue_seconds", "ttft_seconds", "e2e_seconds"}
    }
    for name, value in others.items():
        assert digest_of(structs.replace(record, **{name: other_than(value)})) != digest_of(record), name


def vars_of(record):
    return {field.name: getattr(record, field.name) for field in structs.fields(record)}


def other_than(value):
    """A value of the same kind that is not the same."""
    if isinstance(value, Usage):
        return value + Usage(cached_tokens=1)
    if isinstance(value, bool):
        return not value
    if isinstance(value, dict):
        return value | {"more": "1"}
    if isinstance(value, (int, float)):
        return value + 1
    return next((other for other in type(value) if other != value), None) if isinstance(value, StrEnum) else "another"
