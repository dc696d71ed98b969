"""llama.cpp behind the engine seam: one supervised worker that runs all sequences of a replica together."""

import asyncio
import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from parley.core.channel import Header
from parley.core.clock import Clock, SystemClock
from parley.core.errors import EngineDied, EngineFailed, ModelLoadFailed
from parley.core.events import ScoredToken
from parley.core.gguf import InvalidModelFile, read_header
from parley.core.picture import Vision
from parley.core.pieces import Pieces
from parley.core.requests import SequenceRequest
from parley.core.round_messages import pack_ids, read_step, rows_message, start_message
from parley.infra.dialogue import Listener, Refused
from parley.infra.sandbox import WorkerFailed
from parley.serving.engines.child import Child, LiveChild, Supervision
from parley.serving.engines.round import Host, LlamaGeneration
from parley.serving.engines.scores import ScoreReader, read_scores


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
    # The folder of a llama.cpp built for this processor; without one, the library that comes with Parley.
    build: Path | None = None
    supervision: Supervision = field(default_factory=Supervision)


class LlamaEngine:
    """Implements `core.engine.Engine`. `start` it before use and `aclose` it after."""

    def __init__(self, options: LlamaOptions, *, clock: Clock | None = None, vision: Vision | None = None) -> None:
        """`vision` looks at rounds' pictures; without one, rounds have none."""
        self._options = options
        self._vision = vision
        self._child = Child(
            "parley.workers.llama",
            self._worker_arguments,
            clock=clock or SystemClock(),
            supervision=options.supervision,
            listener=Listener(on_event=self._hear, on_end=self._fail_all),
        )
        # Through all restarts of the worker, so that what an old one said can never reach a new round.
        self._numbers = itertools.count(1)
        self._open: dict[int, LlamaGeneration] = {}
        self._number_of: dict[str, int] = {}
        self._pieces: Pieces | None = None
        # The most rows of a picture that have to be read in one step.
        self._picture_rows = 0

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
        if self._vision is not None:
            self._picture_rows = await self._most_rows(self._vision)
        await self._child.start()

    async def _most_rows(self, vision: Vision) -> int:
        try:
            return await vision.most_together()
        except ModelLoadFailed:
            raise
        except EngineFailed as error:
            raise ModelLoadFailed(f"what sees for it ended: {error.detail}") from error

    async def aclose(self) -> None:
        """Abort what is open and end the worker. May be called any number of times."""
        for generation in list(self._open.values()):
            await generation.aclose()
        await self._child.aclose()

    async def generate(self, request: SequenceRequest) -> LlamaGeneration:
        live = await self._child.live()
        self._pieces_of(live)
        number = next(self._numbers)
        # Before its work begins: what sees is not the child whose silence is watched.
        await self._show(live, number, request)

        def on_close() -> None:
            self._child.end_work()
            del self._open[number], self._number_of[request.round_id]

        host = Host(on_abort=lambda: live.dialogue.tell_later({"op": "end", "round": number}), on_close=on_close)
        generation = LlamaGeneration(request, host)
        self._open[number], self._number_of[request.round_id] = generation, number
        self._child.begin_work()
        try:
            await live.dialogue.tell(*start_message(number, request))
        except WorkerFailed as error:
            generation.fail(EngineDied(f"the round did not begin: {error}", has_reached=False))
        except BaseException:
            await generation.aclose()
            raise
        return generation

    async def _show(self, live: LiveChild, number: int, request: SequenceRequest) -> None:
        """Have the round's pictures looked at, one by one, and bring their rows to the worker."""
        try:
            for placed in request.pictures:
                if self._vision is None:
                    raise EngineFailed("a round with pictures came to an engine that does not see")  # noqa: TRY301 - as below
                rows = await self._vision.look(placed.picture, salt=request.cache_salt)
                await live.dialogue.tell(*rows_message(number, rows))
        except WorkerFailed as error:
            raise EngineDied(f"the round did not begin: {error}", has_reached=False) from error
        except BaseException:
            # The worker holds the rows that came for a start that will not.
            live.dialogue.tell_later({"op": "end", "round": number})
            raise

    async def score(self, prompt: Sequence[int], *, num_top: int) -> list[ScoredToken]:
        if not prompt:
            return []
        live = await self._child.live()
        with self._child.working():
            _, raw = await self._ask(live, {"op": "score", "num_top": num_top}, pack_ids(prompt))
        pieces = self._pieces_of(live)
        first = ScoredToken(prompt[0], pieces.piece(prompt[0]), None)
        return [first, *read_scores(raw, prompt[1:], num_top, pieces)]

    async def abort(self, round_id: str) -> None:
        number = self._number_of.get(round_id)
        if number is not None:
            await self._open[number].aclose()

    async def busy_slots(self) -> list[int]:
        """For every slot that the worker has in use, the tokens generated in it: its own word, between two steps."""
        header, _ = await self._ask(await self._child.live(), {"op": "slots"})
        busy = header.get("busy")
        return [int(count) for count in busy] if isinstance(busy, list) else []

    async def _ask(self, live: LiveChild, question: Header, raw: bytes = b"") -> tuple[Header, bytes]:
        try:
            return await live.dialogue.ask(question, raw)
        except WorkerFailed as error:
            raise EngineDied(f"{question['op']} failed: {error}") from error
        except Refused as error:
            raise EngineFailed(f"{question['op']} failed: {error}") from error

    def _hear(self, header: Header, raw: bytes) -> None:
        """Hand a step of the worker, or its refusal of a round, to the rounds that it concerns."""
        try:
            if "refused" in header:
                generation = self._open.get(int(str(header["round"])))
                if generation is not None:
                    generation.fail(EngineFailed(f"the engine refused a round: {header['refused']}"))
                return
            if header.get("event") == "taken":
                if (generation := self._open.get(int(str(header["round"])))) is not None:
                    generation.is_taken = True
                return
            self._fan_out(header, raw)
        except (KeyError, ValueError, TypeError, IndexError) as error:
            raise WorkerFailed(f"the worker said what is no step: {error!r}") from error

    def _fan_out(self, header: Header, raw: bytes) -> None:
        entries, begun = read_step(header)
        for number, num_cached in begun:
            if (generation := self._open.get(number)) is not None:
                generation.begun(num_cached)
        pieces = self._pieces or Pieces(b"", count=0)
        reader = ScoreReader(raw, pieces)
        for entry in entries:
            # Read also where the round was closed meanwhile: the next one's scores stand behind.
            scored = None if entry.num_top is None else reader.next(entry.token_id, entry.num_top)
            if (generation := self._open.get(entry.round_number)) is not None:
                generation.push(entry, scored)

    def _fail_all(self, error: WorkerFailed) -> None:
        # Those that it never took are no suspects, and are out of the way before the others are judged.
        for generation in sorted(self._open.values(), key=lambda each: each.is_taken):
            generation.fail(EngineDied(f"the engine ended: {error}", has_reached=generation.is_taken))

    def _pieces_of(self, live: LiveChild) -> Pieces:
        """The vocabulary's pieces, the same through all restarts: the file does not change."""
        if self._pieces is None:
            count, silent = live.facts.get("num_tokens"), live.facts.get("silent")
            if not isinstance(count, int) or not isinstance(silent, list):
                raise EngineFailed("the worker described no vocabulary")
            self._pieces = Pieces(live.raw, count=count, silent=silent)
        return self._pieces

    def _worker_arguments(self) -> list[str]:
        options = self._options
        described = {
            "model": str(options.model),
            "build": None if options.build is None else str(options.build),
            "num_slots": options.num_slots,
            "context_length": options.context_length,
            "num_threads": options.num_threads,
            "batch_tokens": options.batch_tokens,
            "picture_rows": self._picture_rows,
        }
        return [json.dumps(described)]
