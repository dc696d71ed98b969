"""B5, A16: whatever is done to the ledger behind our back is found, named, and stops the money that it touches."""

import asyncio
import random
import re
import sqlite3
import threading
from contextlib import closing

import pytest
from sqlalchemy import NullPool, create_engine, text

from parley.core.actor import ActorKind
from parley.core.claim import Claim
from parley.core.errors import Overloaded, RateLimited
from parley.core.pages import PageRequest
from parley.core.usage import Usage
from parley.domain.audit.model import AuditFilter
from parley.domain.audit.service import AuditLog
from parley.domain.billing import audit
from parley.domain.billing.audit import Expected, check_chain, check_sums
from parley.domain.billing.model import REVENUE, EntryKind, Posting
from parley.domain.billing.verify import Position
from parley.infra.db import Database
from parley.operations import reconcile
from parley.operations.verification import verify_ledger
from tests.builders_billing import DAY_SECONDS, PRICE, need, open_money, principal
from tests.postgres import execute as on_server

USED = Usage(input_tokens=10, output_tokens=5)
CHARGE = 35


@pytest.fixture
def path(tmp_path):
    return tmp_path / "parley.db"


async def test_on_postgres_a_table_that_is_gone_is_told_once(postgres_url):
    """After a failure PostgreSQL answers nothing more in a transaction, which says nothing of the ledger."""
    async with open_money(postgres_url) as bench:
        await bench.top_up(10)
        on_server(postgres_url, "ALTER TABLE ledger_checkpoints RENAME TO hidden")
        (finding,) = await bench.reconciler().check()
        assert "ledger_checkpoints" in finding.text


@pytest.mark.parametrize("look", [check_chain, check_sums])
async def test_on_postgres_a_statement_that_is_cancelled_is_no_damage(postgres_url, look):
    async with open_money(postgres_url) as bench:
        await bench.top_up(10)
        start = Position() if look is check_chain else Expected(seq=1, balances=bench.billing.books.balances())

        def read(connection):
            connection.execute(text("SET LOCAL statement_timeout = '100ms'"))
            return look(connection, start)

        engine = create_engine("postgresql+psycopg" + postgres_url.removeprefix("postgresql"), poolclass=NullPool)
        with engine.begin() as another:
            another.execute(text("LOCK TABLE ledger_entries, ledger_checkpoints IN ACCESS EXCLUSIVE MODE"))
            with pytest.raises(Overloaded):
                await bench.database.read(read, within_seconds=None)
        assert await bench.reconciler().check() == []


async def spend(bench, num_requests, *, who=None, start=0):
    for number in range(start, start + num_requests):
        await bench.settle(bench.hold(f"req_{number:05}", who=who), USED)


def execute(path, *statements):
    """What somebody does with SQLite's own shell while the server runs."""
    with closing(sqlite3.connect(path, timeout=5)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


async def test_a_sound_ledger_is_found_sound_at_any_moment(path):
    async with open_money(path) as bench:
        await bench.top_up(10**6)
        reconciler = bench.reconciler()
        for turn in range(5):
            await spend(bench, 20, start=20 * turn)
            assert await reconciler.check() == []
        running = bench.hold("req_running")
        assert await reconciler.check() == []
        await bench.settle(running, USED)
        assert await reconciler.check() == []


async def test_money_that_comes_while_the_ledger_is_looked_at_freezes_nobody(path):
    async with open_money(path) as bench:
        reconciler = bench.reconciler()
        # What is handed to the writer before the look is in the ledger that it sees, and in the books only afterwards.
        for turn in range(3):
            paid = bench.top_up(10**6, key=f"payment {turn}")
            _, _, findings, _ = await asyncio.gather(paid, bench.grant(10**5), reconciler.check(), bench.grant(10**5))
            assert findings == []
        await spend(bench, 3)
        assert await reconciler.check() == []


DAMAGE = {
    "a row is deleted": ["DELETE FROM ledger_entries WHERE seq = 7"],
    "the last row is deleted": ["DELETE FROM ledger_entries WHERE seq = (SELECT max(seq) FROM ledger_entries)"],
    "a row is added": [
        "INSERT INTO ledger_entries SELECT seq + 1, 'charge:made-up:0', kind, at, debit, credit, 1, note, hash"
        " FROM ledger_entries ORDER BY seq DESC LIMIT 1"
    ],
    "two amounts are swapped": [
        "UPDATE ledger_entries SET amount_nano = 1000000 + 35 - amount_nano WHERE seq IN (1, 5)",
    ],
    "two requests are swapped": [
        "UPDATE ledger_entries SET note = CASE seq WHEN 5 THEN 'req_00005' ELSE 'req_00003' END WHERE seq IN (5, 7)"
    ],
    "an amount is changed": ["UPDATE ledger_entries SET amount_nano = 1 WHERE seq = 9"],
    "another pays": ["UPDATE ledger_entries SET debit = 'credit:org-b' WHERE seq = 9"],
}


async def test_a_ledger_is_found_sound_however_many_charges_wait_for_the_disk(path):
    async with open_money(path) as bench:
        await bench.top_up(10**9)
        goes_on = threading.Event()
        stalled = asyncio.ensure_future(bench.database.transaction(lambda _: goes_on.wait(30)))
        settling = [asyncio.ensure_future(spend(bench, 1, start=number)) for number in range(5_000)]
        await asyncio.sleep(0)
        checking = asyncio.ensure_future(bench.reconciler().check())
        await asyncio.sleep(0)
        goes_on.set()
        while not settling[1_000].done() and len(settling) < 15_000:
            settling.append(asyncio.ensure_future(spend(bench, 1, start=len(settling))))
            await asyncio.sleep(0)
        assert await checking == []
        await asyncio.gather(stalled, *settling)
        assert bench.billing.books.num_frozen == 0


@pytest.mark.parametrize("damage", DAMAGE)
async def test_a16_drift_is_found_and_freezes_the_account(path, damage):
    async with open_money(path) as bench:
        await bench.top_up(1_000_000)
        await spend(bench, 12)
        reconciler = bench.reconciler()
        assert await reconciler.check() == []
        execute(path, *DAMAGE[damage])
        before = (await read_all(bench), bench.available)
        assert await reconciler.check() != []
        with pytest.raises(RateLimited) as refused:
            bench.hold("req_later")
        assert refused.value.code == "billing_not_active"
        assert (await read_all(bench), bench.available) == before
        clock = bench.clock
    async with open_money(path, clock) as again:
        with pytest.raises(RateLimited):
            again.hold("req_later")


async def test_a_ledger_that_is_too_long_for_one_round_is_walked_piece_by_piece_and_then_again(path, monkeypatch):
    monkeypatch.setattr(audit, "PAGE_ENTRIES", 4)
    monkeypatch.setattr(reconcile, "ENTRIES_PER_ROUND", 4)
    async with open_money(path) as bench:
        await bench.top_up(1_000_000)
        await spend(bench, 11)
        reconciler = bench.reconciler()
        for damaged, num_rounds in ((11, 3), (2, 1)):
            # A note moves nothing, so that no sum tells.
            execute(path, f"UPDATE ledger_entries SET note = note || '!' WHERE seq = {damaged}")
            found = [await reconciler.check() for _ in range(num_rounds)]
            assert [len(findings) for findings in found] == [0] * (num_rounds - 1) + [1]
            assert found[-1][0].text.startswith(f"entry {damaged} ")
            execute(path, f"UPDATE ledger_entries SET note = rtrim(note, '!') WHERE seq = {damaged}")


async def test_what_is_left_of_a_grant_that_is_over_is_written_off_in_the_ledger_too(path):
    async with open_money(path) as bench:
        grant_id = await bench.grant(50, days=1)
        bench.clock.advance(10 * 86_400)
        reconciler = bench.reconciler()
        await reconciler.expire()
        assert await reconciler.check() == []
        last = await bench.database.read(
            lambda connection: bench.billing.read_entries(connection, after=0, limit=99)[-1]
        )
        assert (last.key, last.debit, last.amount_nano) == (f"expiry:{grant_id}", f"grant:{grant_id}", 50)


async def test_grants_that_are_over_are_written_off_while_the_reconciler_runs(path):
    async with open_money(path) as bench:
        grant_id = await bench.grant(50, days=1)
        reconciler = bench.reconciler()
        bench.clock.advance(10 * 86_400)
        running = asyncio.create_task(reconciler.run())
        async with asyncio.timeout(30):
            while f"expiry:{grant_id}" not in {row[1] for row in await read_all(bench)}:
                await asyncio.sleep(0)
        running.cancel()
        await asyncio.wait({running})
        assert bench.billing.books.balances() == {}


async def read_all(bench):
    return await bench.database.read(
        lambda connection: [tuple(row) for row in connection.execute(text("SELECT * FROM ledger_entries"))]
    )


async def test_only_the_accounts_that_are_touched_are_frozen(path):
    async with open_money(path) as bench:
        await bench.top_up(1_000_000)
        await bench.top_up(1_000_000, "org-b", key="b")
        await spend(bench, 3)
        execute(path, "UPDATE ledger_entries SET amount_nano = 1 WHERE seq = 4")
        reconciler = bench.reconciler()
        await reconciler.check()
        bench.hold("req_b", who=principal("org-b"))
        with pytest.raises(RateLimited):
            bench.hold("req_a")
        # Once, however often it is found.
        await reconciler.check()
        page = await bench.database.read(
            lambda connection: AuditLog(bench.clock).list_entries(
                connection, None, AuditFilter(), PageRequest(limit=10)
            )
        )
        (entry,) = page.items
        assert (entry.actor_kind, entry.actor_id) == (ActorKind.SERVER, "reconciler")
        assert (entry.change.type, entry.change.organization_id) == ("account.frozen", "org-a")
        assert entry.change.before["frozen"] is None
        assert entry.change.after["frozen"].startswith(("account", "entry"))


async def test_a_ledger_that_ends_before_what_was_written_is_found_though_all_sums_agree(path):
    async with open_money(path) as bench:
        await bench.top_up(10)
        # What costs nothing leaves an entry that moves nothing: no balance tells that it is gone.
        expected = Expected(seq=2, balances={"credit:org-a": 10})
        (finding,) = await bench.database.read(lambda connection: check_sums(connection, expected))
        assert finding.text == "the ledger ends at entry 1; entry 2 was written"


async def test_a_balance_below_nothing_is_found_though_the_books_have_it_too(path):
    async with open_money(path) as bench:
        taken = Posting(key="made-up", kind=EntryKind.CHARGE, at=0, debit="credit:org-a", credit=REVENUE, amount_nano=5)
        await bench.database.transaction(lambda unit: bench.billing.post(unit.connection, [taken]))
        bench.billing.books.add_credit("org-a", -5)
        (finding,) = await bench.reconciler().check()
        assert finding.organizations == {"org-a"}


async def test_what_was_deleted_while_nothing_ran_is_found(path):
    async with open_money(path) as bench:
        await bench.top_up(1_000_000)
        await spend(bench, 3)
        clock = bench.clock
    execute(path, "DELETE FROM ledger_entries WHERE seq = (SELECT max(seq) FROM ledger_entries)")
    async with open_money(path, clock) as again:
        seq, findings = await again.database.read(lambda connection: verify_ledger(connection, again.billing))
        # By the sums of the month, by the number of the requests' own records, and by what those come to.
        assert (seq, [finding.text.partition(" come to ")[0] for finding in findings]) == (
            3,
            [
                "key_a: its charges of 2023-03",
                "org-a: its charges of 2023-03",
                "proj_a: its charges of 2023-03",
                "there are 3 usage records; the ledger knows of 2",
                "org-a: its usage records",
            ],
        )


async def findings_at_rest(bench):
    _, findings = await bench.database.read(lambda connection: verify_ledger(connection, bench.billing))
    return [finding.text for finding in findings]


async def test_a_fault_in_the_chain_is_told_and_nothing_that_is_not_so(path):
    async with open_money(path) as bench:
        await bench.top_up(1_000_000)
        await spend(bench, 3)
        clock = bench.clock
    execute(path, "UPDATE ledger_entries SET note = 'another request' WHERE seq = 3")
    async with open_money(path, clock) as again:
        first, *others = await findings_at_rest(again)
        assert first.startswith("entry 3 ")
        # What the entry said is gone: its record is nobody's now, and the project and the key have no charge of it.
        assert [text.partition(" come")[0] for text in others] == [
            "key_a: its charges of 2023-03",
            "proj_a: its charges of 2023-03",
            "request another has no usage record",
        ]


@pytest.mark.parametrize(
    ("statements", "told"),
    [
        (["UPDATE monthly_spend SET spent_nano = 0"], ["the month's sum to 0"] * 6),
        (["DELETE FROM monthly_spend"], ["the month's sum to 0"] * 6),
        # Of a project's and of a key's alone, cheaper and dearer; and of somebody who spent nothing.
        (["UPDATE monthly_spend SET spent_nano = 1 WHERE scope = 'proj_a'"], ["the month's sum to 1"] * 2),
        (["UPDATE monthly_spend SET spent_nano = 1000 WHERE scope = 'key_a'"], ["the month's sum to 1000"] * 2),
        (["INSERT INTO monthly_spend VALUES ('proj_x', '2023-03', 9)"], ["the month's sum to 9"]),
        # What was spent lately is made to look spent before: in all it is the same.
        (
            [
                "UPDATE monthly_spend SET spent_nano = 0 WHERE month = (SELECT max(month) FROM monthly_spend)",
                f"UPDATE monthly_spend SET spent_nano = {5 * CHARGE} WHERE month = (SELECT min(month) FROM monthly_spend)",
            ],
            [f"the month's sum to {5 * CHARGE}"] * 3 + ["the month's sum to 0"] * 3,
        ),
    ],
)
async def test_a_month_that_was_made_to_look_cheaper_is_found(path, statements, told):
    async with open_money(path) as bench:
        await bench.top_up(1_000_000)
        await spend(bench, 2)
        bench.clock.advance(40 * 86_400)
        await spend(bench, 3, start=2)
        assert await findings_at_rest(bench) == []
        execute(path, *statements)
        assert [text.rpartition(", ")[2] for text in await findings_at_rest(bench)] == told


async def test_a_time_that_cannot_be_is_a_fault_in_the_chain_and_no_failure_of_the_verification(path):
    async with open_money(path) as bench:
        await bench.top_up(1_000_000)
        await spend(bench, 3)
        execute(path, f"UPDATE ledger_entries SET at = {2**62} WHERE seq = 3")
        first, *others = await findings_at_rest(bench)
        assert first.startswith("entry 3 ")
        assert all(re.match(r"(org-a|proj_a|key_a): its charges of ", text) for text in others)


async def test_entries_that_are_missing_behind_a_checkpoint_are_found(path):
    async with open_money(path) as bench:
        await bench.top_up(1_000_000)
        holds = [bench.hold(f"req_{number}") for number in range(1_005)]
        await asyncio.gather(*(bench.settle(hold, USED) for hold in holds))
        execute(path, "DELETE FROM ledger_entries WHERE seq > 990")
        _, finding = await bench.database.read(lambda connection: check_chain(connection, Position()))
        assert "991 to 1000 are missing" in finding.text


def cells(path, num_entries):
    """Where each ledger entry lies in the file: from the first byte of its key to the last of its hash."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        rows = connection.execute(
            "SELECT seq, key, kind, debit, credit, note, hash, at, amount_nano FROM ledger_entries"
        ).fetchall()
    image = path.read_bytes()
    found = {}
    for seq, key, kind, _, _, _, digest, *_ in rows[:num_entries]:
        end = image.index(digest) + len(digest)
        # The unique index holds the key too, but no kind behind it.
        found[seq] = (image.rindex((key + kind).encode(), 0, end), end)
    return image, found


async def test_b5_each_of_300_flipped_bits_is_found_and_its_row_named(tmp_path):
    path = tmp_path / "parley.db"
    async with open_money(path) as bench:
        await bench.top_up(1_000_000)
        await spend(bench, 60)
    image, found = cells(path, 61)
    chance = random.Random(20230301)
    copy = tmp_path / "flipped.db"
    named = 0
    for _ in range(300):
        seq = chance.choice(sorted(found))
        start, end = found[seq]
        at, bit = chance.randrange(start, end), chance.randrange(8)
        flipped = bytearray(image)
        flipped[at] ^= 1 << bit
        copy.write_bytes(flipped)
        named += await faulty_entry(copy) == seq
    assert named == 300


async def faulty_entry(path):
    async with Database(path) as database:
        _, finding = await database.read(lambda connection: check_chain(connection, Position()))
        return None if finding is None else int(re.search(r"entry (\d+)", finding.text)[1])


async def test_what_a_clock_that_is_ahead_would_end_for_good_waits_until_it_has_gone_steadily(place):
    async with open_money(place) as bench:
        await bench.grant(1_000, days=30)
        kept = Claim(project_id="proj_a", key="order-1", fingerprint=b"f" * 32)
        hold = bench.billing.books.open_hold("req_1", principal(), PRICE, need(), kept)
        await bench.settle(hold, USED)
        bench.clock.advance(93 * DAY_SECONDS)
        reconciler = bench.reconciler()
        # Nothing can be had of it meanwhile.
        await reconciler.round()
        assert bench.available == 0
        bench.clock.advance(599)
        await reconciler.round()
        bench.clock.set_back(93 * DAY_SECONDS)
        await reconciler.round()
        assert bench.available == 1_000 - CHARGE
        assert await bench.replies.find("proj_a", "order-1") is not None
        bench.clock.advance(93 * DAY_SECONDS)
        await reconciler.round()
        assert sum(bench.billing.books.balances().values()) == 0
        assert await bench.replies.forget_old() == 0
