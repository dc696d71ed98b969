"""The control socket: how the command line asks a running server to change state, as the data folder's owner alone."""

import asyncio
import logging
import os
import socket
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from parley.api.platform.commands import Command, Reply, ShowStatus, perform
from parley.infra.db import DatabaseFailed
from parley.infra.local_socket import connect, listen_private, peer_uid
from parley.operations.records import Records
from parley.operations.remove_model import InUse

_MAX_LINE_BYTES = 65_536
_LINE_SECONDS = 10.0
# A model's file is hashed before it is added: minutes, for the largest on a slow disk.
_REPLY_SECONDS = 900.0

_log = logging.getLogger(__name__)


class ControlServer:
    """Answers commands while it is open: one JSON line in, one JSON line out, then the connection is closed."""

    def __init__(self, records: Records, *, url: str, in_use: InUse, public_url: str | None = None) -> None:
        self._records = records
        self._in_use = in_use
        self._url = url
        # Where people find the server; usually where it listens.
        self._public_url = public_url or url
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        listener = listen_private(self._records.folder.control_path)
        self._server = await asyncio.start_unix_server(self._serve, sock=listener, limit=_MAX_LINE_BYTES)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.close()
        self._records.folder.control_path.unlink(missing_ok=True)
        # Each is bounded: a line that does not come ends it, and an operation that runs is not cut in two.
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._connections.add(task)
            task.add_done_callback(self._connections.discard)
        with suppress(ConnectionError):
            try:
                reply = await self._answer(reader, writer.get_extra_info("socket"))
                writer.write(msgspec.json.encode(reply) + b"\n")
                await writer.drain()
            finally:
                writer.close()
                await writer.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, connection: socket.socket) -> Reply:
        uid = peer_uid(connection)
        if uid not in {None, 0, os.getuid()}:
            _log.warning("control socket refused a user", extra={"uid": uid})
            return Reply(error="only the user that runs the server may use its control socket")
        try:
            async with asyncio.timeout(_LINE_SECONDS):
                line = await reader.readline()
            command = msgspec.json.decode(line, type=Command)
        except (TimeoutError, ValueError) as error:
            return Reply(error=f"that is no command: {error}")
        if isinstance(command, ShowStatus):
            return Reply(url=self._url, public_url=self._public_url, pid=os.getpid())
        try:
            return await perform(self._records, command, self._in_use)
        except DatabaseFailed as error:
            return Reply(error=str(error))
        except Exception:  # noqa: BLE001 - the outermost of a command
            # Whoever gave it must hear that something went wrong, and not that nobody answered.
            _log.exception("a command failed")
            return Reply(error="the server failed at this command, which may have been done; its log says more")


def ask(path: Path, command: Command) -> Reply | None:
    """Ask the server at this control socket; None when no server listens there. Blocks until it has answered.

    Raises OSError when it stops answering midway: what it was asked may have been done.
    """
    try:
        connection = connect(path, timeout_seconds=_REPLY_SECONDS)
    except (FileNotFoundError, ConnectionRefusedError):
        return None
    with connection, connection.makefile("rb") as replies:
        connection.sendall(msgspec.json.encode(command) + b"\n")
        line = replies.readline()
    if not line:
        raise ConnectionResetError("the server closed its control socket without an answer")
    return msgspec.json.decode(line, type=Reply)
