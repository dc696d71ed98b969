"""The real server with its records on PostgreSQL: it starts, charges, dies and goes on."""

import asyncio
import signal
import threading
from contextlib import suppress

import psycopg
import pytest

from tests.faults.test_money import CHARGE, METERED, REQUEST, crowd, parley, prepare
from tests.faults.wire import get, post
from tests.live import LiveServer, running_server
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


@pytest.mark.skipif(not is_installed(), reason=MISSING)
def test_a_server_whose_database_does_not_answer_says_so_and_can_be_stopped(tmp_path):
    with running_cluster() as socket_folder:
        url = f"postgresql://parley@/postgres?host={socket_folder}"
        with running_server(tmp_path, {**METERED, "PARLEY_DATABASE_URL": url}) as server:
            prepare(server, 12 * CHARGE)
            # Somebody's VACUUM FULL, or an ALTER TABLE behind a long query.
            with psycopg.connect(url) as other:
                other.execute("LOCK TABLE usage_records IN ACCESS EXCLUSIVE MODE")
                hanging = threading.Thread(target=ask_in_vain, args=(server,), daemon=True)
                hanging.start()
                while get(server, "/ready")[0] != 503:
                    hanging.join(0.2)
                status, body = post(server, "/v1/completions", REQUEST)
                assert (status, "takes no new requests" in body["error"]["message"]) == (503, True)
                server.process.send_signal(signal.SIGTERM)
                assert server.process.wait(60) == 1
                hanging.join()
            assert "the database does not answer" in server.log.read_text().splitlines()[-1]


def ask_in_vain(server: LiveServer) -> None:
    with suppress(Exception):
        post(server, "/v1/completions", REQUEST)
