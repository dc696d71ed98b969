"""PostgreSQL as the place of records: one writer, and commits whose answer is lost."""

import asyncio
import shutil
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from parley.api.platform.commands import ListKeys
from parley.cli.state import change_state
from parley.core.clock import FakeClock
from parley.core.errors import Overloaded
from parley.core.usage import Usage
from parley.domain.billing.audit import Expected, check_chain, check_sums
from parley.domain.billing.verify import Position
from parley.infra.db import Connection, Database, DatabaseFailed, DatabaseRefused, Transaction, reading
from parley.operations.first_start import ensure_owner
from parley.operations.records import open_records
from tests.builders_billing import open_money
from tests.builders_records import settings_in
from tests.postgres import MISSING, CuttingProxy, crash, end_sessions, execute, is_installed, running_cluster, stop

USED = Usage(input_tokens=10, output_tokens=5)
CHARGE = 35


async def test_b9_a_second_process_is_refused_while_the_first_one_writes(postgres_url):
    async with open_money(postgres_url):
        with pytest.raises(DatabaseRefused, match="in use by another Parley"):
            await Database.open(postgres_url)
    async with open_money(postgres_url) as again:
        await again.top_up(1)


async def test_a_database_that_was_in_use_is_not_made_anew(postgres_url):
    with pytest.raises(DatabaseRefused, match="restore it"):
        await Database.open(postgres_url, may_create=False)


async def test_a_server_that_is_not_there_is_one_line(tmp_path):
    with pytest.raises(DatabaseRefused, match="PARLEY_DATABASE_URL"):
        await Database.open(f"postgresql://parley@/nothing?host={tmp_path}")


async def test_what_only_reads_refuses_a_database_without_tables(postgres_url):
    with pytest.raises(DatabaseRefused, match="no tables"), reading(postgres_url):
        pass
    async with open_money(postgres_url):
        pass
    with reading(postgres_url) as connection:
        assert connection.execute(text("SELECT count(*) FROM organizations")).scalar() is not None


def test_the_command_line_works_where_the_owners_key_is_kept_elsewhere(postgres_url, tmp_path):
    settings = settings_in(tmp_path / "data", database_url=postgres_url)

    async def start():
        async with open_records(settings, FakeClock()) as records:
            await ensure_owner(records, None)

    asyncio.run(start())
    for name in ("owner.key", "founded"):
        (tmp_path / "data" / name).unlink()
    assert [key.name for key in change_state(settings, ListKeys()).keys] == ["owner"]


@pytest.fixture
def proxy(cluster):
    # A socket's path may have 107 bytes; pytest's folders are longer.
    folder = Path(tempfile.mkdtemp(prefix="parley-cut-", dir="/tmp"))
    opened = CuttingProxy(folder, cluster)
    yield opened
    opened.close()
    shutil.rmtree(folder)


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a17_a_commit_whose_answer_is_lost_is_done_once(postgres_url, proxy, cluster, when):
    url = postgres_url.replace(str(cluster), str(proxy.folder))
    async with open_money(url) as bench:
        await bench.top_up(10_000)
        for number in range(8):
            if number % 2:
                proxy.cut_next(when)
            holds = [bench.hold(f"req_{number}_{part}") for part in range(5)]
            await asyncio.gather(*(bench.settle(hold, USED) for hold in holds))
        assert proxy.num_cuts == 4
        assert len(await bench.usage.list_records()) == 40
        position, finding = await bench.database.read(lambda connection: check_chain(connection, Position()))
        assert (position.seq, finding) == (41, None)
        assert bench.available == 10_000 - 40 * CHARGE
        before = bench.billing.books.balances()
    async with open_money(url) as again:
        assert again.billing.books.balances() == before


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a17_a_unit_of_work_whose_commit_is_not_answered_is_done_once(postgres_url, proxy, cluster, when):
    async with open_money(postgres_url.replace(str(cluster), str(proxy.folder))) as bench:
        proxy.cut_next(when)
        await bench.top_up(77)
        await bench.grant(11)
        assert (proxy.num_cuts, bench.available) == (1, 88)


async def test_a17_a_session_that_ends_before_the_ledger_is_read_is_no_damage(postgres_url):
    """Neither where a unit of work is about to post nor where the reconciler looks: it is done, or read, again."""
    async with open_money(postgres_url) as bench:
        await bench.top_up(10_000)
        num_tries = 0

        def work(transaction: Transaction) -> None:
            nonlocal num_tries
            num_tries += 1
            if num_tries == 1:
                end_sessions(postgres_url)
            bench.billing.top_up(transaction, "org-a", 5, key="again", note="")

        await bench.database.transaction(work)
        assert (num_tries, bench.available) == (2, 10_005)
        expected = Expected(seq=2, balances=bench.billing.books.balances())
        for look in (partial(check_sums, expected=expected), partial(check_chain, start=Position())):

            def read(connection: Connection, look: Callable[[Connection], object] = look) -> object:
                connection.execute(text("SELECT 1"))
                end_sessions(postgres_url)
                return look(connection)

            with pytest.raises(Overloaded):
                await bench.database.read(read, within_seconds=None)


async def test_a17_what_a_crash_of_the_server_took_is_done_again():
    """A server that crashed gives the ids of transactions again that it lost: by them it would say that ours was committed."""
    if not is_installed():
        pytest.skip(MISSING)
    with running_cluster() as folder:
        url = f"postgresql://parley@/postgres?host={folder}"
        try:
            async with open_money(url) as bench:
                await bench.top_up(10_000)
                execute(url, "CREATE TABLE elsewhere (number int)")
                num_tries = 0

                def work(transaction: Transaction) -> None:
                    nonlocal num_tries
                    num_tries += 1
                    bench.billing.top_up(transaction, "org-a", 77, key="second", note="")
                    if num_tries == 1:
                        crash(folder)
                        for number in range(20):
                            execute(url, f"INSERT INTO elsewhere VALUES ({number})")

                await bench.database.transaction(work)
                await bench.settle(bench.hold("req_1"), USED)
                assert num_tries == 2
            async with open_money(url) as again:
                assert again.available == 10_077 - CHARGE
        finally:
            stop(folder)


async def test_nothing_is_kept_that_could_not_be_known_again(postgres_url):
    async with open_money(postgres_url) as bench:
        await bench.top_up(10_000)
        execute(postgres_url, "DELETE FROM commit_marks")
        with pytest.raises(DatabaseFailed, match="commit_marks"):
            await bench.settle(bench.hold("req_1"), USED)


async def test_a17_what_is_written_after_an_idle_session_ended_is_written(postgres_url):
    """A server that was restarted, a failover, an idle timeout: the session ends between two transactions."""
    async with open_money(postgres_url) as bench:
        await bench.top_up(10_000, key="first")
        await bench.settle(bench.hold("req_1"), USED)
        end_sessions(postgres_url)
        await bench.settle(bench.hold("req_2"), USED)
        end_sessions(postgres_url)
        await bench.top_up(77, key="second")
        end_sessions(postgres_url)
        await asyncio.gather(*(bench.settle(bench.hold(f"req_{number}"), USED) for number in (3, 4, 5)))
        end_sessions(postgres_url)
        await asyncio.gather(bench.settle(bench.hold("req_6"), USED), bench.top_up(23, key="third"))
        assert len(await bench.usage.list_records()) == 6
        before = bench.billing.books.balances()
    async with open_money(postgres_url) as again:
        assert again.billing.books.balances() == before
        assert again.available == 10_100 - 6 * CHARGE


_REFUSING = """
CREATE FUNCTION refuse() RETURNS trigger AS $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '{code}'; END $$ LANGUAGE plpgsql;
CREATE TRIGGER refuse BEFORE INSERT ON usage_records EXECUTE FUNCTION refuse()
"""


# A full disk, no memory, a disk that fails, read only after a failover, a statement that was cancelled.
@pytest.mark.parametrize("code", ["53100", "53200", "58030", "25006", "57014"])
async def test_b4_a_server_that_keeps_nothing_is_no_matter_of_a_request(postgres_url, code, monkeypatch):
    """Nothing more is told, and the process ends: what comes after it begins with what the ledger says."""
    # A statement that is cancelled each time anew is done again for so long.
    monkeypatch.setattr("parley.infra.postgres.RECONNECT_SECONDS", 0.3)
    async with open_money(postgres_url) as bench:
        await bench.top_up(10_000)
        execute(postgres_url, _REFUSING.format(code=code))
        for number in range(3):
            with pytest.raises(DatabaseFailed):
                await bench.settle(bench.hold(f"req_{number}"), USED)
    execute(postgres_url, "DROP TRIGGER refuse ON usage_records")
    async with open_money(postgres_url) as again:
        assert (again.available, await again.usage.list_records()) == (10_000, [])


async def test_what_a_unit_brings_about_itself_is_its_own(postgres_url):
    async with open_money(postgres_url) as bench:
        await bench.top_up(10_000)
        execute(postgres_url, _REFUSING.format(code="23514"))
        with pytest.raises(IntegrityError):
            await bench.settle(bench.hold("req_1"), USED)
        execute(postgres_url, "DROP TRIGGER refuse ON usage_records")
        await bench.settle(bench.hold("req_2"), USED)
