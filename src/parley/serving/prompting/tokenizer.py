"""The tokenizer of one set of weights: a client of a warm worker that holds the vocabulary and no weights."""

import array
import asyncio
from collections.abc import Sequence
from pathlib import Path

from parley.core.channel import Header
from parley.core.errors import EngineDied, EngineFailed, Overloaded
from parley.core.pieces import Pieces
from parley.core.tokenizer import Segment, Vocabulary
from parley.infra.dialogue import Dialogue, Refused
from parley.infra.sandbox import Limits, Worker, WorkerFailed, start_ready

# 4 MB of one letter took 475 MB of address space, a tokenizer of 150,000 entries takes less than one GiB more.
_LIMITS = Limits(address_space_bytes=8 << 30, num_files=64)
_LOAD_SECONDS = 60.0
_ENCODE_SECONDS = 30.0
_MAX_WAITING = 512
# The bytes of the texts that may be on their way to the worker at a time; the rest waits here, in order. It reads about
# 4 MB in a second, and a question's time runs while those before it are read.
_MAX_BYTES_OPEN = 4 << 20


class WorkerTokenizer:
    """Implements `core.tokenizer.Tokenizer`. `start` it before use and `aclose` it after.

    A worker that died is replaced; the calls that it was serving are made once more, one after another, so that the one
    it died of takes no other with it, and fails. Over 512 waiting calls are refused with Overloaded.
    """

    def __init__(self, path: Path, *, max_waiting: int = _MAX_WAITING, answer_seconds: float = _ENCODE_SECONDS) -> None:
        """`answer_seconds` is the time of one question; a worker that takes longer is ended."""
        self._path = path
        self._max_waiting = max_waiting
        self._answer_seconds = answer_seconds
        self._num_waiting = 0
        self._bytes_open = 0
        self._room = asyncio.Condition()
        self._starting = asyncio.Lock()
        # Whose worker died asks again alone among its like.
        self._again = asyncio.Lock()
        self._worker: Worker | None = None
        self._dialogue: Dialogue | None = None
        # The worker's end is seen a moment after the failure that it is behind.
        self._given_up: Dialogue | None = None
        self._vocabulary: Vocabulary | None = None
        self._pieces: Pieces | None = None

    @property
    def vocabulary(self) -> Vocabulary:
        if self._vocabulary is None:
            raise EngineFailed("a tokenizer was used before it was started")
        return self._vocabulary

    @property
    def pid(self) -> int | None:
        """The worker's process id, for `parley doctor` and for tests; None while there is none."""
        return None if self._worker is None else self._worker.pid

    async def start(self) -> None:
        """Load the vocabulary. Raises ModelLoadFailed."""
        await self._ready_dialogue()

    async def aclose(self) -> None:
        """End the worker. May be called any number of times; a later call starts it again."""
        async with self._starting:
            await self._drop()

    async def encode(self, segments: Sequence[Segment]) -> list[int]:
        texts = [segment.text.encode() for segment in segments]
        size = sum(map(len, texts))
        if not size:
            return []
        if self._num_waiting >= self._max_waiting:
            raise Overloaded("Too many prompts are waiting to be read. Please retry after a moment.")
        self._num_waiting += 1
        try:
            async with self._room:
                # One text larger than the whole room goes alone.
                await self._room.wait_for(lambda: not self._bytes_open or self._bytes_open + size <= _MAX_BYTES_OPEN)
                self._bytes_open += size
            try:
                described = [[len(text), segment.is_control] for text, segment in zip(texts, segments, strict=True)]
                raw = await self._ask({"op": "encode", "segments": described}, b"".join(texts))
            finally:
                self._bytes_open -= size
                async with self._room:
                    self._room.notify_all()
        finally:
            self._num_waiting -= 1
        ids = array.array("i")
        ids.frombytes(raw)
        return ids.tolist()

    async def pieces(self, token_ids: Sequence[int]) -> list[bytes]:
        if self._pieces is None:
            raise EngineFailed("a tokenizer was used before it was started")
        return [self._pieces.piece(token_id) for token_id in token_ids]

    async def _ask(self, header: Header, raw: bytes) -> bytes:
        try:
            return await self._ask_once(header, raw)
        except EngineDied:
            async with self._again:
                return await self._ask_once(header, raw)

    async def _ask_once(self, header: Header, raw: bytes) -> bytes:
        """The answer. Raises EngineDied when the worker ended meanwhile, EngineFailed for what is the question's own fault."""
        dialogue = await self._ready_dialogue()
        try:
            async with asyncio.timeout(self._answer_seconds):
                _, answer = await dialogue.ask(header, raw)
        except Refused as error:
            raise EngineFailed(f"the tokenizer refused: {error}") from error
        except WorkerFailed as error:
            self._given_up = dialogue
            raise EngineDied(f"{error}: {error.last_words[-500:]}") from error
        except TimeoutError:
            if self._worker is not None and self._dialogue is dialogue:
                self._worker.kill()
            self._given_up = dialogue
            raise EngineFailed("the tokenizer did not answer in time and was ended") from None
        return answer

    async def _ready_dialogue(self) -> Dialogue:
        async with self._starting:
            is_usable = self._worker is not None and self._worker.is_running and self._dialogue is not self._given_up
            if is_usable and self._dialogue is not None:
                return self._dialogue
            await self._drop()
            return await self._load()

    async def _load(self) -> Dialogue:
        worker, header, raw = await start_ready(
            "parley.workers.tokenizer", [str(self._path)], limits=_LIMITS, load_seconds=_LOAD_SECONDS
        )
        try:
            self._vocabulary, self._pieces = _vocabulary(header), Pieces(raw, count=_number(header["num_tokens"]))
        except BaseException:
            await asyncio.shield(worker.stop(grace_seconds=0.0))
            raise
        self._worker, self._dialogue = worker, Dialogue(worker)
        return self._dialogue

    async def _drop(self) -> None:
        if self._dialogue is not None:
            await self._dialogue.aclose()
        if self._worker is not None:
            await self._worker.stop()
        self._dialogue = self._worker = None


def _vocabulary(facts: Header) -> Vocabulary:
    special, bos, end, fim = (facts[name] for name in ("special_tokens", "bos", "end_of_generation", "fim"))
    written = facts["written_specials"]
    if not isinstance(special, dict) or not isinstance(bos, list) or not isinstance(end, list):
        raise EngineFailed("the tokenizer worker described no vocabulary")
    if not isinstance(written, list):
        raise EngineFailed("the tokenizer worker described no vocabulary")
    return Vocabulary(
        num_tokens=_number(facts["num_tokens"]),
        longest_token_bytes=_number(facts["longest_token_bytes"]),
        special_tokens=special,
        bos=tuple(bos),
        end_of_generation=frozenset(end),
        fim=(fim[0], fim[1], fim[2]) if isinstance(fim, list) else None,
        written_specials=frozenset(written),
    )


def _number(value: object) -> int:
    if not isinstance(value, int):
        raise EngineFailed("the tokenizer worker described no vocabulary")
    return value
