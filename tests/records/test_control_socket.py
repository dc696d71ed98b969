"""The control socket: the command line's way into a running server, for its owner alone."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from parley.api.platform import control
from parley.api.platform.commands import CreateKey, ListKeys, RevokeKey, ShowStatus
from parley.api.platform.control import ControlServer, ask
from parley.core.clock import FakeClock
from parley.core.principal import Scope
from parley.infra.local_socket import connect, peer_uid
from parley.operations.first_start import ensure_owner
from parley.operations.records import Records, open_records
from tests.builders_records import settings_in


@pytest.fixture
async def records(tmp_path: Path) -> AsyncIterator[Records]:
    async with open_records(settings_in(tmp_path / "d"), FakeClock()) as opened:
        await ensure_owner(opened, None)
        async with ControlServer(opened, url="http://127.0.0.1:8000", in_use=lambda _: False):
            yield opened


async def said(records: Records, line: bytes) -> dict[str, object]:
    def exchange() -> bytes:
        with connect(records.folder.control_path, timeout_seconds=10) as connection:
            connection.sendall(line)
            connection.shutdown(socket.SHUT_WR)
            return connection.makefile("rb").readline()

    return json.loads(await asyncio.to_thread(exchange))


async def test_keys_are_made_listed_and_revoked_in_the_running_server(records: Records) -> None:
    path = records.folder.control_path
    made = await asyncio.to_thread(ask, path, CreateKey(name="app", models=("gpt-4",)))
    principal = records.keys.authenticate(made.secret)
    assert principal.allowed_models == {"gpt-4"}
    assert principal.scopes == {Scope.MODEL_REQUEST, Scope.READ}
    listed = await asyncio.to_thread(ask, path, ListKeys())
    assert {key.name for key in listed.keys} == {"owner", "app"}
    assert listed.secret is None
    await asyncio.to_thread(ask, path, RevokeKey(key_id=made.keys[0].id))
    assert records.keys.authenticate(made.secret) is None


async def test_a_list_never_shows_a_digest_or_a_secret(records: Records) -> None:
    reply = await said(records, b'{"type": "keys.list"}\n')
    assert set(reply["keys"][0]) == {
        "id", "name", "project_id", "last_four", "scopes", "models", "created_at", "revoked_at", "expires_at"
    }  # fmt: skip


async def test_the_server_says_where_it_answers(records: Records) -> None:
    status = await asyncio.to_thread(ask, records.folder.control_path, ShowStatus())
    assert status.url == "http://127.0.0.1:8000"
    assert status.pid is not None


async def test_a_refusal_is_one_line(records: Records) -> None:
    path = records.folder.control_path
    unknown = await asyncio.to_thread(ask, path, RevokeKey(key_id="key_nobody"))
    assert unknown.error == "No such key."
    without = await asyncio.to_thread(ask, path, CreateKey(name="app", scopes=()))
    assert without.error == "A key needs a scope."


async def test_a_command_that_fails_is_answered(records: Records, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object) -> None:
        raise ValueError("year 10000 is out of range")

    monkeypatch.setattr(control, "perform", broken)
    reply = await asyncio.to_thread(ask, records.folder.control_path, ListKeys())
    assert "may have been done" in reply.error
    assert "10000" not in reply.error


@pytest.mark.parametrize(
    "line",
    [
        b"\n",
        b"not json\n",
        b"[]\n",
        b'{"type": "keys.steal"}\n',
        b'{"type": "keys.create"}\n',
        b'{"type": "keys.create", "name": "a", "digest": "x"}\n',
        b'{"type": "keys.create", "name": "a", "scopes": ["root"]}\n',
        b"\xff\xfe\n",
        b"a" * 100_000 + b"\n",
        b"",
    ],
)
async def test_what_is_no_command_is_answered_and_changes_nothing(records: Records, line: bytes) -> None:
    before = await records.database.read(records.accounts.all_keys)
    assert str((await said(records, line))["error"]).startswith("that is no command")
    assert await records.database.read(records.accounts.all_keys) == before


async def test_the_socket_is_its_owners_alone_and_knows_who_asks(records: Records) -> None:
    assert records.folder.control_path.stat().st_mode & 0o777 == 0o600
    with connect(records.folder.control_path, timeout_seconds=10) as connection:
        assert peer_uid(connection) == records.folder.path.stat().st_uid


async def test_nobody_is_there_when_no_server_runs(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    assert await asyncio.to_thread(ask, path, ShowStatus()) is None
    # What a killed server leaves behind is no server.
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(str(path))
    stale.close()
    assert await asyncio.to_thread(ask, path, ShowStatus()) is None


async def test_a_stale_socket_does_not_keep_a_server_from_starting(tmp_path: Path) -> None:
    async with open_records(settings_in(tmp_path / "d"), FakeClock()) as records:
        stale = socket.socket(socket.AF_UNIX)
        stale.bind(str(records.folder.control_path))
        stale.close()
        async with ControlServer(records, url="http://here", in_use=lambda _: False):
            assert (await asyncio.to_thread(ask, records.folder.control_path, ShowStatus())).url == "http://here"
        assert not records.folder.control_path.exists()


async def test_a_data_folder_with_a_long_path_has_its_socket_too(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 30)
    async with open_records(settings_in(folder), FakeClock()) as records:
        async with ControlServer(records, url="http://here", in_use=lambda _: False):
            assert (await asyncio.to_thread(ask, records.folder.control_path, ShowStatus())).url == "http://here"
