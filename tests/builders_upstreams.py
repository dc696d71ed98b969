"""Upstreams for tests: a fake one that says whatever a test wants, byte by byte, and llama.cpp's real HTTP server."""

import asyncio
import json
import ssl
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from parley.core.clock import SystemClock
from parley.core.tokenizer import Tokenizer
from parley.core.upstream import Upstream, UpstreamKind
from parley.infra.settings import environment_of_programs
from parley.serving.engines.openai_server.adapter import Deadlines, UpstreamEngine, UpstreamOptions
from parley.serving.engines.openai_server.program import ProgramTimes, SupervisedProgram
from parley.serving.engines.openai_server.reaching import Patience
from parley.serving.prompting.tokenizer import WorkerTokenizer
from tests.builders_engines import CHAINED
from tests.gguf_maker import Shape, write_model
from tests.live import free_port

KEY = "sk-upstream-canary-7f3a9c2e5b8d"
QUICK = Deadlines(connect=30.0, first=60.0, stall=60.0, probe=30.0, reachable=0.3)
PATIENCE = Patience(max_attempts=3, first_pause_seconds=0.01, max_pause_seconds=2.0)


@dataclass
class Received:
    """One HTTP request as it reached the fake."""

    path: str
    headers: dict[str, str]
    body: dict[str, object]


class Wire:
    """The fake's side of one connection, for a script to write on."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self.is_kept = False

    async def send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def head(self, status: int = 200, content_type: str = "text/event-stream", *, more: str = "") -> None:
        await self.send(
            f"HTTP/1.1 {status} X\r\ncontent-type: {content_type}\r\nconnection: close\r\n{more}\r\n".encode()
        )

    async def event(self, value: object) -> None:
        await self.send(b"data: " + json.dumps(value).encode() + b"\n\n")

    async def reply(self, status: int, body: object, *, content_type: str = "application/json", more: str = "") -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        await self.head(status, content_type, more=f"content-length: {len(data)}\r\n{more}")
        await self.send(data)

    async def whole_stream(self, *events: object) -> None:
        """A stream with a framed end, after which the connection could serve another call."""
        body = b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events) + b"data: [DONE]\n\n"
        await self.send(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        self.is_kept = True
        await self.send(b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body))

    async def closed_by_client(self) -> None:
        """Return when the other side has closed the connection."""
        while await self._reader.read(4096):
            pass

    def reset(self) -> None:
        self._writer.transport.abort()


Script = Callable[[Wire, Received], Awaitable[None]]


def chunk(text: str | None = None, *, index: int = 0, finish: str | None = None, **more: object) -> dict[str, object]:
    """A chunk of a completion."""
    return {"choices": [{"index": index, "text": text or "", "finish_reason": finish, **more}]}


def chat_chunk(text: str | None = None, *, finish: str | None = None, **delta: object) -> dict[str, object]:
    """A chunk of a chat."""
    return {"choices": [{"index": 0, "delta": {"content": text, **delta}, "finish_reason": finish}]}


def usage_chunk(prompt_tokens: object, completion_tokens: object) -> dict[str, object]:
    return {"choices": [], "usage": {"prompt_tokens": prompt_tokens, "completion_tokens": completion_tokens}}


def saying(*chunks: object, is_done: bool = True) -> Script:
    """A script that streams these chunks."""

    async def script(wire: Wire, received: Received) -> None:
        await wire.head()
        for each in chunks:
            await wire.event(each)
        if is_done:
            await wire.send(b"data: [DONE]\n\n")

    return script


def words(num: int, *, reported: object = None, prompt: object = 1, finish: str = "stop") -> Script:
    """A completion of `num` tokens, one in each chunk, and a report of `reported`."""
    last = () if reported is None else (usage_chunk(prompt, reported),)
    return saying(*(chunk("word ") for _ in range(num)), chunk(finish=finish), *last)


@dataclass
class FakeUpstream:
    """Answers a probe by itself, and each further call by the next script; the last one goes on for ever."""

    scripts: Sequence[Script] = ()
    port: int = 0
    received: list[Received] = field(default_factory=list)
    num_probes: int = 0
    num_connections: int = 0
    probe: Script | None = None
    scheme: str = "http"

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}/v1"

    async def serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.num_connections += 1
        try:
            while await self._answer(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one call; whether the connection is still good for another."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in head[1:] if line)}
        body = json.loads(await reader.readexactly(int(headers.get("content-length", 0))) or b"{}")
        received = Received(path=head[0].split()[1], headers=headers, body=body)
        wire = Wire(reader, writer)
        if body.get("stream") is False:
            self.num_probes += 1
            if self.probe is not None:
                await self.probe(wire, received)
            else:
                await wire.reply(200, {"choices": [{"text": "x", "message": {"content": "x"}}]})
            return False
        self.received.append(received)
        script = self.scripts[min(len(self.received), len(self.scripts)) - 1]
        await script(wire, received)
        return wire.is_kept


@asynccontextmanager
async def fake_upstream(
    *scripts: Script, probe: Script | None = None, tls: ssl.SSLContext | None = None
) -> AsyncIterator[FakeUpstream]:
    """A fake upstream that listens on loopback."""
    fake = FakeUpstream(scripts=scripts, probe=probe, scheme="http" if tls is None else "https")
    tasks: set[asyncio.Task[None]] = set()

    async def serve_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        await fake.serve_one(reader, writer)

    server = await asyncio.start_server(serve_one, "127.0.0.1", 0, ssl=tls)
    fake.port = server.sockets[0].getsockname()[1]
    try:
        yield fake
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def upstream_at(url: str, kind: UpstreamKind = UpstreamKind.LLAMA_SERVER) -> Upstream:
    return Upstream(kind=kind, url=url, model="m")


@asynccontextmanager
async def engine_on(
    upstream: Upstream,
    *,
    tokenizer: Tokenizer | None = None,
    key: str | None = KEY,
    deadlines: Deadlines = QUICK,
    program: SupervisedProgram | None = None,
    num_slots: int = 4,
) -> AsyncIterator[UpstreamEngine]:
    """A started engine, closed at the end."""
    options = UpstreamOptions(upstream=upstream, num_slots=num_slots, key=key, deadlines=deadlines, patience=PATIENCE)
    engine = UpstreamEngine(options, clock=SystemClock(), tokenizer=tokenizer, program=program)
    try:
        await engine.start()
        yield engine
    finally:
        await engine.aclose()


QUICK_TIMES = ProgramTimes(load=120.0, between_probes=0.05, first_backoff=0.05, ready=120.0, grace=0.5)


def llama_server_command(
    model: Path, port: int, *, num_slots: int = 4, projector: Path | None = None
) -> tuple[str, ...]:
    program = Path(__file__).parent / "engines" / "llama_server_program.py"
    more = () if projector is None else (str(projector),)
    return (sys.executable, str(program), str(model), str(port), str(num_slots), *more)


def supervised_llama_server(
    model: Path, *, num_slots: int = 4, times: ProgramTimes = QUICK_TIMES
) -> tuple[SupervisedProgram, str]:
    """llama.cpp's own server as an operator's program that we keep alive, and its address."""
    port = free_port()
    command = llama_server_command(model, port, num_slots=num_slots)
    program = SupervisedProgram(command, environment_of_programs(), times)
    return program, f"http://127.0.0.1:{port}/v1"


@asynccontextmanager
async def llama_server_engine(folder: Path, shape: Shape = CHAINED) -> AsyncIterator[UpstreamEngine]:
    """An engine on llama.cpp's own server, which has a model of this shape; its vocabulary is known here."""
    model = write_model(folder / "model.gguf", shape)
    tokenizer = WorkerTokenizer(model)
    program, url = supervised_llama_server(model)
    await tokenizer.start()
    try:
        async with engine_on(upstream_at(url), tokenizer=tokenizer, program=program) as engine:
            yield engine
    finally:
        await tokenizer.aclose()
