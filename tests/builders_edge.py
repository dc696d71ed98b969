"""A whole edge on a real socket, with a fake Run behind it that is slow, abortable and keeps a journal."""

import asyncio
import contextlib
import json
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Self

from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp

from parley.api.call import Access, Call, Services
from parley.api.connections import ConnectionRules
from parley.api.guard import GuardLimits
from parley.api.listener import open_listener
from parley.api.open_requests import OpenRequests
from parley.api.request_body import BodyLimits
from parley.api.routing import Route, RouteTable
from parley.api.server import HttpServer, ServerTimes
from parley.api.stack import EdgeRules, build_stack
from parley.api.stream import EventStream, collect
from parley.core.clock import Clock, SystemClock
from parley.core.errors import EngineFailed
from parley.core.events import Delta, Event, Finished
from parley.core.principal import Principal, Scope
from parley.core.usage import Outcome, Usage

# No test waits so long for anything that works; scripts that somebody has to end run for longer.
HANG_SECONDS = 120.0

KEY = "sk-edge-tests-0123456789abcdef"
READ_ONLY_KEY = "sk-edge-tests-may-only-read-00"
ORGANIZATION = "org-edge"
PROJECT = "proj_edge"

OWNER = Principal(organization_id=ORGANIZATION, project_id=PROJECT, key_id="key_owner", scopes=frozenset({Scope.ALL}))
READER = Principal(
    organization_id=ORGANIZATION, project_id=PROJECT, key_id="key_reader", scopes=frozenset({Scope.READ})
)


class FakeKeys:
    """Two keys; notes every look-up."""

    def __init__(self) -> None:
        self.looked_up: list[str] = []

    def authenticate(self, secret: str) -> Principal | None:
        self.looked_up.append(secret)
        return {KEY: OWNER, READ_ONLY_KEY: READER}.get(secret)

    def recognise(self, token: str) -> None:
        """Nobody is logged in."""

    def csrf_token(self, session_token: str) -> str:
        return f"csrf of {session_token}"


@dataclass(kw_only=True)
class Script:
    """What a fake Run does: wait, say `num_events` words of `text` with a gap, then finish or fail.

    With `steps`, each event waits besides until the test releases it.
    """

    num_events: int = 3
    text: str = "word "
    first_seconds: float = 0.0
    gap_seconds: float = 0.0
    steps: asyncio.Semaphore | None = None
    fails_after: int | None = None
    error: Callable[[], Exception] = lambda: EngineFailed("the fake died at 0xdeadbeef in /secret/path")
    closing_seconds: float = 0.0
    progress: str | None = None


@dataclass(kw_only=True)
class FakeRun:
    """Passes events as its script says, and remembers how it went."""

    script: Script
    num_said: int = 0
    num_closings: int = 0
    outcome: Outcome | None = None
    is_closing: bool = False
    is_closed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def progress(self) -> str | None:
        return self.script.progress

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        script = self.script
        if self.is_closing or self.num_said > script.num_events:
            raise StopAsyncIteration
        if self.num_said == script.fails_after:
            self.outcome = Outcome.FAILED
            raise script.error()
        pause = script.gap_seconds if self.num_said else script.first_seconds
        if pause:
            await asyncio.sleep(pause)
        if script.steps is not None:
            await script.steps.acquire()
        self.num_said += 1
        if self.num_said > script.num_events:
            self.outcome = Outcome.FINISHED
            return Finished(Usage(input_tokens=1, output_tokens=script.num_events))
        return Delta(0, script.text, 1)

    async def aclose(self, outcome: Outcome | None = None) -> None:
        self.num_closings += 1
        if self.is_closing:
            return
        self.is_closing = True
        self.outcome = self.outcome or outcome or Outcome.ABORTED
        # As the real one: who waits for it may be cancelled, but not before it is done.
        closing = asyncio.ensure_future(asyncio.sleep(self.script.closing_seconds))
        is_cancelled = False
        while not closing.done():
            try:
                await asyncio.shield(closing)
            except asyncio.CancelledError:
                is_cancelled = True
        self.is_closed.set()
        if is_cancelled:
            raise asyncio.CancelledError


def frames(event: Event) -> bytes:
    """Server-sent events in the least words."""
    if isinstance(event, Delta):
        return b"data: " + json.dumps({"text": event.text}).encode() + b"\n\n"
    if isinstance(event, Finished):
        return b"data: [DONE]\n\n"
    return b""


@dataclass(kw_only=True)
class FakeEdge:
    """The edge under test: where it listens, what was opened behind it, and the knobs a test turns."""

    port: int = 0
    keys: FakeKeys = field(default_factory=FakeKeys)
    open_requests: OpenRequests = field(default_factory=OpenRequests)
    script: Script = field(default_factory=Script)
    runs: list[FakeRun] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    stall_seconds: float = 30.0
    catalog: object = None
    on_open: Callable[[], None] = lambda: None

    def open_run(self) -> FakeRun:
        run = FakeRun(script=self.script)
        self.runs.append(run)
        self.on_open()
        return run

    @property
    def last_run(self) -> FakeRun:
        return self.runs[-1]

    async def stream(self, call: Call) -> ASGIApp:
        self.bodies.append(await call.http.body())
        return EventStream(self.open_run(), frames, {"x-parley-model": "fake"}, stall_seconds=self.stall_seconds)

    async def answer(self, call: Call) -> ASGIApp:
        self.bodies.append(await call.http.body())
        events = await collect(self.open_run(), call.http)
        return JSONResponse({"text": "".join(event.text for event in events if isinstance(event, Delta))})

    async def read(self, call: Call) -> ASGIApp:
        body = await call.http.body()
        self.bodies.append(body)
        return JSONResponse({"num_bytes": len(body), "params": call.path_params})

    async def fail(self, call: Call) -> ASGIApp:
        raise ZeroDivisionError("a fault of ours, at 0xdeadbeef in /secret/path")

    async def say_ok(self, call: Call) -> ASGIApp:
        return Response("ok", media_type="text/plain")

    def routes(self) -> RouteTable:
        table = [
            ("GET", "/health", self.say_ok, Access.PUBLIC),
            ("GET", "/v1/models", self.read, Access.READ),
            ("GET", "/v1/models/{model}", self.read, Access.READ),
            ("GET", "/v1/engines/{engine_id}", self.read, Access.READ),
            ("POST", "/v1/engines/{engine_id}/completions", self.read, Access.MODEL_REQUEST),
            ("POST", "/v1/chat/completions", self.stream, Access.MODEL_REQUEST),
            ("POST", "/v1/completions", self.answer, Access.MODEL_REQUEST),
            ("POST", "/v1/edits", self.read, Access.MODEL_REQUEST),
            ("POST", "/v1/broken", self.fail, Access.MODEL_REQUEST),
        ]
        return RouteTable([Route(method=m, path=p, handler=h, access=a) for m, p, h, a in table])

    def app(self, rules: EdgeRules, clock: Clock) -> ASGIApp:
        # Of the services, the handlers here use none but the catalog.
        services = Services(serving=None, catalog=self.catalog, clock=clock, platform=None)
        return build_stack(
            routes=self.routes(), services=services, keys=self.keys, open_requests=self.open_requests, rules=rules
        )


# Short deadlines, long enough not to be met by accident on a busy machine.
QUICK = EdgeRules(
    limits=GuardLimits(body=BodyLimits(grace_seconds=0.5, discard_seconds=0.5)),
    cors_origins=("https://chat.example.org",),
)


@asynccontextmanager
async def running_edge(
    *,
    rules: EdgeRules = QUICK,
    connections: ConnectionRules | None = None,
    stall_seconds: float = 30.0,
    script: Script | None = None,
    edge: FakeEdge | None = None,
) -> AsyncIterator[FakeEdge]:
    """A FakeEdge that listens on loopback in this loop; stopped at the end."""
    edge = edge or FakeEdge(script=script or Script(), stall_seconds=stall_seconds)
    listener = open_listener("127.0.0.1", 0, stall_seconds=stall_seconds)
    edge.port = listener.getsockname()[1]
    times = ServerTimes(refuse_seconds=0.0, drain_seconds=0.0, settle_seconds=2.0)
    server = HttpServer(
        edge.app(rules, SystemClock()),
        listener,
        open_requests=edge.open_requests,
        times=times,
        rules=connections or ConnectionRules(head_seconds=1.0, idle_seconds=1.0),
    )
    listening = asyncio.Event()
    serving = asyncio.ensure_future(server.serve(listening.set))
    await asyncio.wait_for(listening.wait(), HANG_SECONDS)
    try:
        yield edge
    finally:
        server.stop()
        await serving


@dataclass(kw_only=True)
class Reply:
    """An HTTP reply as it came off the wire."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> dict[str, object]:
        return json.loads(self.body)

    @property
    def error(self) -> dict[str, object]:
        return self.json()["error"]


class Wire:
    """A client with nothing between the test and the bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, *parts: bytes) -> None:
        self.writer.write(b"".join(parts))
        await self.writer.drain()

    async def rest(self, seconds: float = HANG_SECONDS) -> bytes:
        """Everything until the server closes the connection."""
        received = bytearray()
        with contextlib.suppress(ConnectionError):
            async with asyncio.timeout(seconds):
                while part := await self.reader.read(65_536):
                    received += part
        return bytes(received)

    async def reply(self, seconds: float = HANG_SECONDS) -> Reply:
        """One reply: by its Content-Length, by its chunks, or without a body."""
        async with asyncio.timeout(seconds):
            head = await self.reader.readuntil(b"\r\n\r\n")
            status, headers = parse_head(head)
            body = b""
            if "content-length" in headers:
                body = await self.reader.readexactly(int(headers["content-length"]))
            elif headers.get("transfer-encoding") == "chunked":
                while size := int(await self.reader.readline(), 16):
                    body += await self.reader.readexactly(size)
                    await self.reader.readline()
                await self.reader.readline()
        return Reply(status=status, headers=headers, body=body)

    def reset(self) -> None:
        """Leave by RST."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


def parse_head(head: bytes) -> tuple[int, dict[str, str]]:
    first, *lines = head.decode("latin-1").strip().split("\r\n")
    pairs = (line.split(": ", 1) for line in lines)
    return int(first.split()[1]), {name.lower(): value for name, value in pairs}


@asynccontextmanager
async def connected(edge: FakeEdge) -> AsyncIterator[Wire]:
    reader, writer = await asyncio.open_connection("127.0.0.1", edge.port)
    try:
        yield Wire(reader, writer)
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError, BrokenPipeError):
            await writer.wait_closed()


def request(
    method: str = "POST", path: str = "/v1/chat/completions", body: bytes = b"{}", key: str | None = KEY, **headers: str
) -> bytes:
    """A request's bytes; `headers` with underscores for hyphens."""
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost"]
    if key is not None:
        lines.append(f"Authorization: Bearer {key}")
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    if body and method == "POST":
        lines.append(f"Content-Length: {len(body)}")
    else:
        body = b""
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body


async def ask(edge: FakeEdge, data: bytes) -> Reply:
    """One request on a connection of its own."""
    async with connected(edge) as wire:
        await wire.send(data)
        return await wire.reply()
