"""llama.cpp behind the engine seam: one supervised worker with its HTTP server on a Unix socket, always streamed."""

import array
import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from parley.core.clock import Clock, SystemClock
from parley.core.errors import EngineDied, EngineFailed, ModelLoadFailed
from parley.core.events import ScoredToken
from parley.core.gguf import InvalidModelFile, read_header
from parley.core.ids import new_id
from parley.core.pieces import Pieces
from parley.core.requests import SequenceRequest
from parley.infra.dialogue import Refused
from parley.infra.sandbox import WorkerFailed
from parley.serving.engines.child import Child, LiveChild, Supervision
from parley.serving.engines.round import Host, LlamaGeneration
from parley.serving.engines.scores import read_scores
from parley.serving.engines.upstream import completion_body

# Nothing is timed here: the child's supervision ends one that says nothing.
_NO_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=10.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class LlamaOptions:
    """How a replica is set up. One slot serves `context_length` tokens of prompt and completion together."""

    model: Path
    context_length: int
    num_slots: int = 8
    num_threads: int = 2
    # The most tokens that one step reads. An abort waits for the step that runs: 256 costs nothing that was measured,
    # 128 about a sixth of the prefill speed, 512 makes an abort wait up to three times as long.
    batch_tokens: int = 256
    supervision: Supervision = field(default_factory=Supervision)


class LlamaEngine:
    """Implements `core.engine.Engine`. `start` it before use and `aclose` it after.

    `folder` is a private run folder (`infra.sandbox.run_folder`) for the socket.
    """

    def __init__(self, options: LlamaOptions, *, folder: Path, clock: Clock | None = None) -> None:
        self._options = options
        self._folder = folder
        self._socket: Path | None = None
        self._child = Child(
            "parley.workers.llama",
            self._worker_arguments,
            clock=clock or SystemClock(),
            supervision=options.supervision,
        )
        self._session: tuple[Path, aiohttp.ClientSession] | None = None
        self._open: dict[str, LlamaGeneration] = {}
        self._pieces: Pieces | None = None

    @property
    def num_slots(self) -> int:
        return self._options.num_slots

    @property
    def is_ready(self) -> bool:
        """Whether the worker is up; while it is started again, requests wait for it."""
        return self._child.is_ready

    @property
    def pid(self) -> int | None:
        return self._child.pid

    @property
    def num_open_rounds(self) -> int:
        return len(self._open)

    async def start(self) -> None:
        """Check the file's header here, then load it in the worker. Raises ModelLoadFailed."""
        try:
            await asyncio.to_thread(read_header, self._options.model)
        except InvalidModelFile as error:
            raise ModelLoadFailed(str(error)) from error
        await self._child.start()

    async def aclose(self) -> None:
        """Abort what is open and end the worker. May be called any number of times."""
        for generation in list(self._open.values()):
            await generation.aclose()
        await self._child.aclose()
        await self._end_session()
        self._remove_socket()

    async def generate(self, request: SequenceRequest) -> LlamaGeneration:
        live = await self._child.live()

        def on_close() -> None:
            self._child.end_work()
            self._open.pop(request.round_id, None)

        host = Host(
            pieces=self._pieces_of(live),
            recover=lambda before, lost, count: self._recover(live, request, (before, lost, count)),
            on_output=self._child.progressed,
            on_broken=self._child.doubt,
            on_close=on_close,
        )
        self._child.begin_work()
        generation = LlamaGeneration(request, self._post(live, completion_body(request)), host)
        self._open[request.round_id] = generation
        return generation

    async def score(self, prompt: Sequence[int], *, num_top: int) -> list[ScoredToken]:
        if not prompt:
            return []
        live = await self._child.live()
        with self._child.working():
            try:
                _, raw = await live.dialogue.ask({"op": "score", "num_top": num_top}, _packed(prompt))
            except WorkerFailed as error:
                raise EngineDied(f"scoring failed: {error}") from error
            except Refused as error:
                raise EngineFailed(f"scoring failed: {error}") from error
        pieces = self._pieces_of(live)
        first = ScoredToken(prompt[0], pieces.piece(prompt[0]), None)
        return [first, *read_scores(raw, prompt[1:], num_top, pieces)]

    async def abort(self, round_id: str) -> None:
        generation = self._open.get(round_id)
        if generation is not None:
            await generation.aclose()

    async def _post(self, live: LiveChild, body: bytes) -> aiohttp.ClientResponse:
        session = await self._session_to(Path(str(live.facts["socket"])))
        headers = {"content-type": "application/json"}
        return await session.post("http://engine/completion", data=body, headers=headers)

    async def _session_to(self, socket: Path) -> aiohttp.ClientSession:
        if self._session is not None and self._session[0] == socket:
            return self._session[1]
        if socket != self._socket:
            raise EngineFailed("the worker was replaced before the round began")
        # A connection serves one round: what a cancelled round left in it can never reach another.
        connector = aiohttp.UnixConnector(str(socket), limit=0, force_close=True)
        session = aiohttp.ClientSession(connector=connector, timeout=_NO_TIMEOUT, cookie_jar=aiohttp.DummyCookieJar())
        stale, self._session = self._session, (socket, session)
        if stale is not None:
            await stale[1].close()
        return session

    async def _end_session(self) -> None:
        if self._session is not None:
            _, session = self._session
            self._session = None
            await session.close()

    async def _recover(
        self, live: LiveChild, request: SequenceRequest, lost: tuple[Sequence[int], bytes, int]
    ) -> list[ScoredToken]:
        before, written, count = lost
        num_top = request.sampling.logprobs or 0
        question = {"op": "recover", "num_top": num_top, "lost": written.hex(), "count": count}
        try:
            header, raw = await live.dialogue.ask(question, _packed(before))
        except (WorkerFailed, Refused) as error:
            raise EngineFailed(f"the engine could not name its tokens: {error}") from error
        found = header.get("found")
        if not isinstance(found, list) or not found:
            return []
        return read_scores(raw, found, num_top, self._pieces_of(live))

    def _pieces_of(self, live: LiveChild) -> Pieces:
        """The vocabulary's pieces, the same through all restarts: the file does not change."""
        if self._pieces is None:
            count, silent = live.facts.get("num_tokens"), live.facts.get("silent")
            if not isinstance(count, int) or not isinstance(silent, list):
                raise EngineFailed("the worker described no vocabulary")
            self._pieces = Pieces(live.raw, count=count, silent=silent)
        return self._pieces

    def _worker_arguments(self) -> list[str]:
        """For each start a socket of its own name, so that a stale one is never met."""
        self._remove_socket()
        self._socket = self._folder / f"{new_id('')}.sock"
        options = self._options
        described = {
            "model": str(options.model),
            "socket": str(self._socket),
            "num_slots": options.num_slots,
            "context_length": options.context_length,
            "num_threads": options.num_threads,
            "batch_tokens": options.batch_tokens,
        }
        return [json.dumps(described)]

    def _remove_socket(self) -> None:
        if self._socket is not None:
            self._socket.unlink(missing_ok=True)


def _packed(token_ids: Sequence[int]) -> bytes:
    return array.array("i", token_ids).tobytes()
