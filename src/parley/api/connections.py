"""All connections of the server: how many there may be, how long each may take, and how they end."""

import asyncio
import socket
from collections import Counter
from dataclasses import dataclass
from email.utils import formatdate
from ipaddress import IPv4Network, IPv6Network

from starlette.types import ASGIApp

from parley.api.client_address import household_of, parse_address
from parley.api.connection import Connection
from parley.api.listener import BACKLOG, max_connections

# How often deadlines are looked at: a part of the shortest of them, and at most so many seconds.
_SWEEPS_PER_DEADLINE = 10
_MAX_SWEEP_SECONDS = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionRules:
    """Caps and deadlines (seconds). `head_seconds` are for a head to arrive, `idle_seconds` for the next request to begin:
    clients of the OpenAI SDK give a connection up after 5, so 8 never cut one that is about to be used again."""

    head_seconds: float = 10.0
    idle_seconds: float = 8.0
    # None: all that the limit on descriptors leaves.
    max_connections: int | None = None
    max_per_address: int = 1024
    # Behind these stand many clients. This machine's own address is always one of them.
    proxies: tuple[IPv4Network | IPv6Network, ...] = ()


class Connections:
    """Accepts on one listener until it is told to stop. On the loop that is running when it is made."""

    def __init__(self, app: ASGIApp, rules: ConnectionRules) -> None:
        self.app = app
        self.head_seconds = rules.head_seconds
        self.idle_seconds = rules.idle_seconds
        self.is_stopping = False
        self.date = b""
        self._rules = rules
        self._loop = asyncio.get_running_loop()
        self._most = max_connections() if rules.max_connections is None else rules.max_connections
        self._by_address: Counter[str] = Counter()
        self._open: set[Connection] = set()
        self._server: asyncio.AbstractServer | None = None
        self._sweeping: asyncio.TimerHandle | None = None
        self._ended = asyncio.Event()

    async def start(self, listener: socket.socket) -> None:
        """Accept from now on. Takes `listener` over."""
        self._sweep()
        self._server = await self._loop.create_server(
            lambda: Connection(self, self._loop), sock=listener, backlog=BACKLOG
        )

    def stop(self) -> None:
        """Close the listener, and each connection as soon as it answers nothing. Any number of times."""
        if self.is_stopping:
            return
        self.is_stopping = True
        if self._server is not None:
            self._server.close()
        for connection in tuple(self._open):
            if not connection.is_busy:
                connection.close()
        self._note_end()

    async def wait_closed(self) -> None:
        """Return when it was stopped and the last connection is closed."""
        await self._ended.wait()

    def abort(self) -> None:
        """Close what is left, sent or not."""
        self.stop()
        for connection in tuple(self._open):
            connection.abort()

    # What a connection asks for.

    def admit(self, address: str) -> bool:
        # One that was accepted in the moment before the listener closed is not waited for.
        if self.is_stopping or len(self._open) >= self._most:
            return False
        counted = _counted(address)
        if self._by_address[counted] >= self._rules.max_per_address and not self._has_many_behind(address):
            return False
        self._by_address[counted] += 1
        return True

    def add(self, connection: Connection) -> None:
        self._open.add(connection)

    def forget(self, connection: Connection, address: str) -> None:
        self._open.discard(connection)
        counted = _counted(address)
        self._by_address[counted] -= 1
        if not self._by_address[counted]:
            del self._by_address[counted]
        self._note_end()

    def _note_end(self) -> None:
        if self.is_stopping and not self._open:
            if self._sweeping is not None:
                self._sweeping.cancel()
            self._ended.set()

    def _has_many_behind(self, address: str) -> bool:
        parsed = parse_address(address)
        return parsed is not None and (parsed.is_loopback or any(parsed in network for network in self._rules.proxies))

    def _sweep(self) -> None:
        """End what is over its deadline, and see who left. A timer for each connection would be set anew with each request."""
        now = self._loop.time()
        self.date = f"date: {formatdate(usegmt=True)}\r\n".encode()
        for connection in [each for each in self._open if each.deadline is not None and each.deadline <= now]:
            connection.expire()
        for connection in [each for each in self._open if each.is_held]:
            connection.look()
        shortest = min(self.head_seconds, self.idle_seconds)
        self._sweeping = self._loop.call_later(min(_MAX_SWEEP_SECONDS, shortest / _SWEEPS_PER_DEADLINE), self._sweep)


def _counted(address: str) -> str:
    """As whom an address is counted. Those of IPv4 are as they are, and not parsed."""
    parsed = parse_address(address) if ":" in address else None
    return address if parsed is None else household_of(parsed)
