"""PostgreSQL that is disturbed: a lock that is lost, cancelled statements, a server that says nothing, settings of others."""

import asyncio
import threading
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text

from parley.core.errors import Overloaded
from parley.infra.db import Connection, Database, DatabaseFailed, DatabaseRefused, Transaction, reading
from parley.infra.postgres_engine import lacks_of_durability
from tests.builders_billing import open_money
from tests.builders_billing import principal as somebody
from tests.money.test_postgres import CHARGE, USED
from tests.postgres import MISSING, crash, end_sessions, execute, is_installed, running_cluster, stop

LOCK = 0x50726C79
HOLDERS = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted AND objid = %s AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"


@pytest.fixture
def unwatched(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that does not look after its session while it is idle."""
    monkeypatch.setattr("parley.infra.writer._CHECK_SECONDS", 3600)


def name_of(url: str) -> str:
    return url.split("?", maxsplit=1)[0].rsplit("/", 1)[1]


def fail_once(code: str) -> str:
    return f"DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '{code}'; END $$"


@pytest.mark.usefixtures("unwatched")
@pytest.mark.parametrize("stays", [False, True])
async def test_b9_who_lost_the_lock_writes_nothing_once_another_process_began(postgres_url, stays):
    async with open_money(postgres_url) as first:
        await first.top_up(10_000)
        end_sessions(postgres_url)
        async with open_money(postgres_url) as second:
            await second.settle(second.hold("req_second"), USED)
            if stays:
                with pytest.raises(DatabaseFailed, match="in use by another Parley"):
                    await first.settle(first.hold("req_first"), USED)
        if not stays:
            with pytest.raises(DatabaseFailed, match="commit_marks"):
                await first.settle(first.hold("req_first"), USED)
        with pytest.raises(DatabaseFailed):
            await first.top_up(1, key="later")
    async with open_money(postgres_url) as again:
        assert again.available == 10_000 - CHARGE
        assert [record.request_id for record in await again.usage.list_records()] == ["req_second"]


@pytest.mark.usefixtures("unwatched")
async def test_a_server_that_lost_what_it_had_said_was_kept_is_not_written_to_from_memory(postgres_url):
    async with open_money(postgres_url) as bench:
        await bench.top_up(10_000)
        # As after a crash with synchronous_commit=off, or where an older backup was put in its place.
        execute(postgres_url, "UPDATE commit_marks SET mark = 'of an older commit'")
        with pytest.raises(DatabaseFailed, match="commit_marks"):
            await bench.settle(bench.hold("req_1"), USED)


async def test_b9_an_idle_server_takes_a_lost_lock_back(postgres_url):
    async with open_money(postgres_url) as bench:
        with psycopg.connect(postgres_url, autocommit=True) as other:
            end_sessions_but(other)
            async with asyncio.timeout(30):
                while other.execute(HOLDERS, (LOCK,)).fetchone() != (1,):
                    await asyncio.sleep(0.05)
        await bench.top_up(77)
        assert bench.available == 77


async def test_b9_an_idle_server_ends_where_another_process_has_the_lock(postgres_url):
    async with open_money(postgres_url) as bench:
        with psycopg.connect(postgres_url, autocommit=True) as other:
            # It waits behind the server, and so gets the lock before the server may ask again.
            waiting = threading.Thread(target=other.execute, args=("SELECT pg_advisory_lock(%s)", (LOCK,)))
            waiting.start()
            await asyncio.to_thread(wait_for_waiter, postgres_url)
            await asyncio.to_thread(
                execute,
                postgres_url,
                f"SELECT pg_terminate_backend(pid) FROM pg_locks WHERE objid = {LOCK} AND granted",
            )
            async with asyncio.timeout(60):
                failure = await bench.database.wait_failed()
            waiting.join()
        assert "in use by another Parley" in str(failure)


def end_sessions_but(connection: psycopg.Connection) -> None:
    connection.execute(
        "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )


def wait_for_waiter(url: str) -> None:
    with closing(psycopg.connect(url, autocommit=True)) as connection:
        while not connection.execute("SELECT 1 FROM pg_locks WHERE objid = %s AND NOT granted", (LOCK,)).fetchone():
            pass


async def test_a_server_that_is_away_for_a_while_is_waited_for():
    if not is_installed():
        pytest.skip(MISSING)
    with running_cluster() as folder:
        # After the first restart the server is no longer the process that was started above.
        crash(folder)
        try:
            async with open_money(f"postgresql://parley@/postgres?host={folder}") as bench:
                await bench.top_up(10_000)
                await asyncio.to_thread(stop, folder)
                settling = asyncio.ensure_future(bench.settle(bench.hold("req_1"), USED))
                async with asyncio.timeout(30):
                    while not bench.database.is_stalled:
                        await asyncio.sleep(0.05)
                # Tried more than once.
                await asyncio.sleep(0.5)
                await asyncio.to_thread(crash, folder)
                await settling
                await bench.top_up(77, key="second")
                assert bench.available == 10_077 - CHARGE
        finally:
            stop(folder)


# A statement that was cancelled, a lock that was not had in time, a deadlock, a transaction that cannot be put in order.
@pytest.mark.parametrize("code", ["57014", "55P03", "40P01", "40001"])
async def test_what_passes_is_done_again(postgres_url, code):
    async with open_money(postgres_url) as bench:
        num_tries = 0

        def work(transaction: Transaction) -> None:
            nonlocal num_tries
            num_tries += 1
            bench.billing.top_up(transaction, "org-a", 77, key="once", note="")
            if num_tries < 3:
                transaction.connection.exec_driver_sql(fail_once(code))

        await bench.database.transaction(work)
        assert (num_tries, bench.available) == (3, 77)
    async with open_money(postgres_url) as again:
        assert again.available == 77


async def test_what_a_database_is_set_to_changes_neither_what_is_read_nor_what_is_durable(postgres_url):
    name = name_of(postgres_url)
    for setting in (
        "statement_timeout = 300000",
        "lock_timeout = 300000",
        "idle_session_timeout = 300000",
        "idle_in_transaction_session_timeout = 300000",
        "extra_float_digits = 0",
        "synchronous_commit = off",
        "client_encoding = LATIN1",
    ):
        execute(postgres_url, f"ALTER DATABASE {name} SET {setting}")

    def shown(connection: Connection) -> dict[str, object]:
        names = ("statement_timeout", "lock_timeout", "idle_session_timeout", "idle_in_transaction_session_timeout")
        names += ("extra_float_digits", "synchronous_commit", "client_encoding")
        return {name: connection.execute(text(f"SHOW {name}")).scalar() for name in names}

    wanted = {"extra_float_digits": "1", "synchronous_commit": "on", "client_encoding": "UTF8"}
    async with await Database.open(postgres_url) as database:
        for found in (
            await database.transaction(lambda transaction: shown(transaction.connection)),
            await database.read(shown, within_seconds=None),
        ):
            assert wanted.items() <= found.items()
            assert {value for name, value in found.items() if name.endswith("timeout")} == {"0"}


async def test_a_server_that_need_not_wait_for_its_standbys_need_not(postgres_url):
    name = name_of(postgres_url)
    execute(postgres_url, f"ALTER DATABASE {name} SET synchronous_commit = 'local'")
    async with await Database.open(postgres_url) as database:
        show = text("SHOW synchronous_commit")
        assert await database.transaction(lambda unit: unit.connection.execute(show).scalar()) == "local"


async def test_what_lets_a_power_cut_take_commits_is_known(postgres_url):
    async with await Database.open(postgres_url):
        pass
    # As the tests' own cluster runs, for speed.
    with reading(postgres_url) as connection:
        assert lacks_of_durability(connection) == ["fsync"]


def test_a_database_that_cannot_hold_every_text_is_refused(postgres_url):
    execute_alone(
        postgres_url, "CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'"
    )
    name = name_of(postgres_url)
    url = postgres_url.replace(f"/{name}?", "/latin?")
    try:
        with pytest.raises(DatabaseRefused, match="encoding is LATIN1"):
            asyncio.run(Database.open(url))
        with pytest.raises(DatabaseRefused, match="encoding is LATIN1"), reading(url):
            pass
    finally:
        execute_alone(postgres_url, "DROP DATABASE latin")


def execute_alone(url: str, statement: str) -> None:
    with closing(psycopg.connect(url, autocommit=True)) as connection:
        connection.execute(statement)


@pytest.mark.parametrize(
    ("prepare", "said"),
    [
        ("CREATE ROLE nobody_{name} LOGIN; REVOKE CREATE ON SCHEMA public FROM PUBLIC", "permission denied"),
        (
            "CREATE ROLE nobody_{name} LOGIN; ALTER ROLE nobody_{name} SET default_transaction_read_only = on",
            "is read only",
        ),
    ],
)
async def test_a_database_that_cannot_be_made_or_written_is_refused_in_one_line(postgres_url, prepare, said):
    name = name_of(postgres_url)
    execute(postgres_url, prepare.format(name=name))
    with pytest.raises(DatabaseRefused, match=said) as refusal:
        await Database.open(postgres_url.replace("parley@", f"nobody_{name}@"))
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("rest", ["u:Xy7pw@db:5432x/x", "u:Xy7pw@[::1/x"])
async def test_an_address_that_is_none_is_refused_without_the_password(rest):
    with pytest.raises(DatabaseRefused, match="PARLEY_DATABASE_URL cannot be read") as refusal:
        await Database.open(f"postgresql://{rest}")
    assert "Xy7pw" not in str(refusal.value)


async def test_what_a_database_refuses_of_one_request_leaves_books_and_ledger_alike(place):
    """Whatever it is: neither is the account frozen for it, nor its money gone until the next start."""
    async with open_money(place) as bench:
        await bench.top_up(1_000)
        await bench.grant(20)
        before = bench.billing.books.balances()
        bad = bench.hold("req_bad")

        def forbid(unit: Transaction) -> None:
            unit.connection.exec_driver_sql("ALTER TABLE usage_records RENAME TO away")

        def allow(unit: Transaction) -> None:
            unit.connection.exec_driver_sql("ALTER TABLE away RENAME TO usage_records")

        await bench.database.transaction(forbid)
        go_on = threading.Event()
        holding = asyncio.ensure_future(bench.database.transaction(lambda _: go_on.wait(60)))
        refused = asyncio.ensure_future(bench.settle(bad, USED))
        # Its snapshot lies between the charge in memory and its refusal, and they are in one commit.
        await asyncio.sleep(0)
        checked = asyncio.ensure_future(bench.reconciler().check())
        await asyncio.sleep(0)
        go_on.set()
        await holding
        with pytest.raises(Exception, match="usage_records"):
            await refused
        assert await checked == []
        assert bench.billing.books.balances() == before
        assert bench.billing.books.spent_nano(somebody().organization_id) == 0
        await bench.database.transaction(allow)
        await bench.settle(bench.hold("req_good"), USED)
        assert bench.available == 1_020 - CHARGE
        assert await bench.reconciler().check() == []


async def test_while_a_database_does_not_answer_nothing_new_is_taken(place, monkeypatch):
    monkeypatch.setattr("parley.infra.writer.STALL_SECONDS", 0.2)
    async with open_money(place) as bench:
        go_on = threading.Event()
        hanging = asyncio.ensure_future(bench.database.transaction(lambda _: go_on.wait(60)))
        async with asyncio.timeout(30):
            while not bench.database.is_stalled:
                await asyncio.sleep(0.05)
        with pytest.raises(Overloaded, match="takes no new requests"):
            bench.database.check()
        go_on.set()
        await hanging
        async with asyncio.timeout(30):
            while bench.database.is_stalled:
                await asyncio.sleep(0.05)
        bench.database.check()


async def test_a_reader_that_hangs_keeps_nobody_waiting(place, monkeypatch):
    monkeypatch.setattr("parley.infra.readers._GRACE_SECONDS", 0.1)
    async with await Database.open(place) as database:
        go_on = threading.Event()
        # More than there are threads.
        reads = [database.read(lambda _: go_on.wait(60), within_seconds=0.05) for _ in range(4)]
        results = await asyncio.gather(*reads, return_exceptions=True)
        assert {type(result) for result in results} == {Overloaded}
        go_on.set()
        async with asyncio.timeout(30):
            assert await database.read(lambda c: c.execute(text("SELECT 1")).scalar(), within_seconds=None) == 1


async def test_a_server_that_stops_does_not_wait_for_a_database_that_does_not_answer(tmp_path: Path, monkeypatch):
    monkeypatch.setattr("parley.infra.writer.STALL_SECONDS", 0.2)
    monkeypatch.setattr("parley.infra.readers._CLOSE_SECONDS", 0.1)
    database = await Database.open(tmp_path / "parley.db")
    go_on = threading.Event()
    hanging = [asyncio.ensure_future(database.transaction(lambda _: go_on.wait(60))) for _ in range(2)]
    reading_on = asyncio.ensure_future(database.read(lambda _: go_on.wait(60), within_seconds=None))
    await asyncio.sleep(0.5)
    with pytest.raises(DatabaseFailed, match="does not answer"):
        database.give_up_if_stalled()
    with pytest.raises(DatabaseFailed, match="does not answer"):
        await database.aclose()
    results = await asyncio.gather(*hanging, return_exceptions=True)
    assert {type(result) for result in results} == {DatabaseFailed}
    go_on.set()
    await reading_on
    await database.aclose()
