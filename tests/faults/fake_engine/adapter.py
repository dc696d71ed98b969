"""The fake engine behind the engine seam: one supervised child, one connection to it, its lines read into events."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from parley.core.clock import Clock, SystemClock
from parley.core.errors import EngineDied, EngineFailed
from parley.core.events import Delta, Event, Finished, FinishReason, ScoredToken, SequenceFinished
from parley.core.ids import new_id
from parley.core.requests import SequenceRequest
from parley.core.usage import Usage
from parley.infra.sandbox import Limits
from parley.serving.engines.child import Child, LiveChild, Supervision

WORKER = "tests.faults.fake_engine.worker"
_MAX_LINE_BYTES = 1 << 20
# How long an engine may take to say that it has stopped; one that hangs never does.
_ABORT_SECONDS = 1.0


@dataclass(frozen=True, kw_only=True)
class FakeOptions:
    """`home` holds knobs and journals of all models."""

    model: str
    home: Path
    num_slots: int = 8
    supervision: Supervision = field(default_factory=Supervision)


class FakeEngine:
    """Implements `core.engine.Engine`. `start` it before use and `aclose` it after."""

    def __init__(self, options: FakeOptions, *, clock: Clock | None = None) -> None:
        self._options = options
        # It writes its journal, which no worker that ships may do.
        self.child = Child(
            WORKER,
            self._arguments,
            clock=clock or SystemClock(),
            supervision=options.supervision,
            limits=Limits(file_bytes=1 << 30),
        )
        # Its socket's path must be short, which a test's own folder is not.
        self._folder = TemporaryDirectory(prefix="parley-fake-", ignore_cleanup_errors=True)
        self._connecting = asyncio.Lock()
        self._wire: _Wire | None = None

    @property
    def num_slots(self) -> int:
        return self._options.num_slots

    @property
    def num_open_rounds(self) -> int:
        return 0 if self._wire is None else len(self._wire.open)

    async def start(self) -> None:
        await self.child.start()

    async def aclose(self) -> None:
        await self.child.aclose()
        if self._wire is not None:
            await self._wire.aclose()
        self._folder.cleanup()

    async def generate(self, request: SequenceRequest) -> "FakeGeneration":
        wire = await self._connected(await self.child.live())
        return wire.begin(request)

    async def score(self, prompt: Sequence[int], *, num_top: int) -> list[ScoredToken]:
        raise EngineFailed("the fake engine scores nothing")

    async def abort(self, round_id: str) -> None:
        generation = None if self._wire is None else self._wire.open.get(round_id)
        if generation is not None:
            await generation.aclose()

    async def _connected(self, live: LiveChild) -> "_Wire":
        async with self._connecting:
            if self._wire is not None and self._wire.live is live and not self._wire.is_broken:
                return self._wire
            if self._wire is not None:
                await self._wire.aclose()
                self._wire = None
            try:
                reader, writer = await asyncio.open_unix_connection(str(live.facts["socket"]), limit=_MAX_LINE_BYTES)
            except OSError as error:
                self.child.doubt()
                raise EngineDied(f"no connection: {error}", has_reached=False) from error
            self._wire = _Wire(self.child, live, reader, writer)
            return self._wire

    def _arguments(self) -> list[str]:
        options = self._options
        described = {"model": options.model, "home": str(options.home)}
        return [json.dumps({**described, "socket": str(Path(self._folder.name) / f"{new_id('')}.sock")})]


class _Wire:
    """The connection to one life of the child. All its lines are read in order, by one task, into the rounds' queues."""

    def __init__(
        self, child: Child, live: LiveChild, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.child = child
        self.live = live
        self.open: dict[str, FakeGeneration] = {}
        self.is_broken = False
        self._reader = reader
        self._writer = writer
        # Rounds that the child has begun and that have no token yet.
        self._reading: set[str] = set()
        self._task = asyncio.ensure_future(self._read())

    def begin(self, request: SequenceRequest) -> "FakeGeneration":
        if self.is_broken:
            raise EngineDied("the connection is gone", has_reached=False)
        generation = FakeGeneration(request, self)
        self.open[request.round_id] = generation
        self.child.begin_work()
        self._send(
            {
                "round": request.round_id,
                "prompt": list(request.prompt),
                "max_tokens": request.max_tokens,
                "num_sequences": request.num_sequences,
            }
        )
        return generation

    def end(self, round_id: str) -> None:
        if self.open.pop(round_id, None) is not None:
            self.child.end_work()
            self._reading.discard(round_id)

    def abort(self, round_id: str) -> None:
        if not self.is_broken:
            self._send({"abort": round_id})

    async def aclose(self) -> None:
        self._task.cancel()
        await asyncio.wait({self._task})
        self._break(EngineFailed("the engine was closed"))
        self._writer.close()

    def _send(self, message: dict) -> None:
        self._writer.write(json.dumps(message).encode() + b"\n")

    async def _read(self) -> None:
        try:
            async for line in self._reader:
                self.child.progressed()
                self._take(line)
        except ConnectionError:
            pass
        self.child.doubt()
        self._break(EngineDied("the fake engine's connection ended", suspects=frozenset(self._reading)))

    def _take(self, line: bytes) -> None:
        try:
            said = json.loads(line)
            generation = self.open.get(said["round"])
        except (ValueError, KeyError, TypeError) as error:
            # Nobody can tell whose line it is, so that none can be trusted any more.
            self._break(EngineFailed(f"the engine spoke nonsense: {error!r}"))
            self.child.doubt()
            self.live.worker.kill()
            return
        if "began" in said:
            self._reading.add(said["round"])
        else:
            self._reading.discard(said["round"])
        if generation is not None:
            generation.hear(said)

    def _break(self, error: EngineFailed) -> None:
        self.is_broken = True
        for generation in list(self.open.values()):
            generation.fail(error)


class FakeGeneration:
    """Implements `core.engine.Generation`."""

    def __init__(self, request: SequenceRequest, wire: _Wire) -> None:
        self._request = request
        self._wire = wire
        self._events: asyncio.Queue[Event | EngineFailed | None] = asyncio.Queue()
        self._num_heard = 0
        self._num_told = 0
        self._is_begun = False
        self._is_closed = False
        # How many tokens the round had in all, as the engine says once it has stopped.
        self._at_abort: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def hear(self, said: dict) -> None:
        self._is_begun = self._is_begun or "began" in said
        if "sequence" in said:
            self._num_heard += said["tokens"]
            self._events.put_nowait(Delta(said["sequence"], said["text"], said["tokens"]))
        elif "aborted" in said:
            self._stopped(said["aborted"])
        elif "finished" in said:
            for sequence in range(self._request.num_sequences):
                self._events.put_nowait(SequenceFinished(sequence, FinishReason.LENGTH))
            # An abort that came too late is answered with the end.
            self._stopped(self._num_heard)
            usage = said["finished"]
            self._events.put_nowait(
                Finished(Usage(input_tokens=usage.get("input", 0), output_tokens=usage.get("output", 0)))
            )

    def _stopped(self, num_tokens: int) -> None:
        if not self._at_abort.done():
            self._at_abort.set_result(num_tokens)

    def fail(self, error: EngineFailed) -> None:
        self._at_abort.cancel()
        self._events.put_nowait(error)

    def __aiter__(self) -> "FakeGeneration":
        return self

    async def __anext__(self) -> Event:
        if self._is_closed:
            raise StopAsyncIteration
        event = await self._events.get()
        if event is None:
            raise StopAsyncIteration
        if isinstance(event, EngineFailed):
            self._is_closed = True
            self._wire.end(self._request.round_id)
            raise event
        if isinstance(event, Finished):
            self._is_closed = True
            self._wire.end(self._request.round_id)
        if isinstance(event, Delta):
            self._num_told += event.num_tokens
        return event

    async def aclose(self) -> int | None:
        num_untold = await self._close()
        return num_untold if self._is_begun else None

    async def _close(self) -> int:
        if self._is_closed:
            return 0
        self._is_closed = True
        self._wire.abort(self._request.round_id)
        await asyncio.wait({self._at_abort}, timeout=_ABORT_SECONDS)
        self._wire.end(self._request.round_id)
        self._events.put_nowait(None)
        is_answered = self._at_abort.done() and not self._at_abort.cancelled()
        return self._at_abort.result() - self._num_told if is_answered else 0
