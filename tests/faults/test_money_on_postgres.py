"""The real server with its records on PostgreSQL: it starts, charges, dies and goes on."""

import asyncio
import signal

import pytest

from tests.faults.test_money import CHARGE, METERED, REQUEST, crowd, parley, prepare
from tests.live import running_server
from tests.postgres import MISSING, is_installed, running_cluster


@pytest.mark.skipif(not is_installed(), reason=MISSING)
def test_a_server_on_postgresql_serves_what_is_paid_for_and_finds_it_again(tmp_path):
    with running_cluster() as socket_folder:
        settings = {**METERED, "PARLEY_DATABASE_URL": f"postgresql://parley@/postgres?host={socket_folder}"}
        with running_server(tmp_path, settings) as server:
            prepare(server, 12 * CHARGE)
            statuses = [status for status, _ in asyncio.run(crowd(server, [REQUEST] * 20))]
            assert (statuses.count(200), statuses.count(429)) == (12, 8)
            server.process.send_signal(signal.SIGKILL)
            server.process.wait()
        with running_server(tmp_path, settings) as server:
            prepare(server, CHARGE)
            statuses = [status for status, _ in asyncio.run(crowd(server, [REQUEST] * 2))]
            assert sorted(statuses) == [200, 429]
        variables = {"PARLEY_DATABASE_URL": settings["PARLEY_DATABASE_URL"]}
        verdict = parley(server.data, "ledger", "verify", variables=variables)
        assert (verdict.returncode, verdict.stdout.split()[0]) == (0, "15")
