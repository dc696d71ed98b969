"""What sees for a model: the worker that has its projector, and a stand-in for the echo engine, which sees nothing."""

import asyncio
import json
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from parley.core.channel import Header
from parley.core.errors import EngineFailed, InvalidRequest, RequestQuarantined
from parley.core.picture import LONGEST_SHORT_SIDE, LONGEST_SIDE, Layout, Marks, Picture, Rows
from parley.infra.dialogue import Refused
from parley.infra.on_call import OnCallWorker, Turns
from parley.infra.sandbox import Limits, WorkerFailed

_START_SECONDS = 120.0
_LAY_OUT_SECONDS = 30.0
# A picture is looked at in pieces, on a processor for seconds each.
_LOOK_SECONDS = 600.0
_MAX_WAITING = 256
_OVERLOADED = "The server is overloaded: too many pictures are waiting to be looked at."
_MOST_LAYOUTS = 4096
# Whoever sends many different poisons must not fill the memory.
_QUARANTINE_SECONDS, _MOST_FATAL = 600.0, 4096
# Rows that see each other are read in one step, whose buffers grow with it.
_MOST_TOGETHER = 2048
# The sizes of pictures that take the most of any; what takes more rows together than all of these is refused.
_LARGEST = (
    (LONGEST_SIDE, LONGEST_SHORT_SIDE),
    (LONGEST_SHORT_SIDE, LONGEST_SIDE),
    (LONGEST_SHORT_SIDE, LONGEST_SHORT_SIDE),
)
# What a picture takes on the echo engine, whatever its size.
_ECHO_ROWS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class VisionOptions:
    """The files of a model and its projector. Rows of up to `memory_bytes` are kept, for pictures that come again."""

    model: Path
    projector: Path
    num_threads: int = 2
    memory_bytes: int = 256 << 20
    # As LlamaOptions has it.
    build: Path | None = None


class _WorkerEnded(EngineFailed):
    pass


class WorkerVision:
    """Implements `core.picture.Vision`. The worker starts with the first picture; `aclose` ends it, until there is another.

    One picture is looked at at a time: further ones would only share the processor.
    """

    def __init__(self, options: VisionOptions) -> None:
        self._options = options
        self._turns = Turns(_MAX_WAITING, _OVERLOADED)
        # It reads weights, which are as large as they are.
        self._worker = OnCallWorker(
            "parley.workers.vision",
            self._arguments,
            limits=Limits(num_files=64),
            start_seconds=_START_SECONDS,
            outlives_cancelled=True,
        )
        self._layouts: dict[tuple[int, int], Layout] = {}
        self._most_together: int | None = None
        # Pictures that the worker ended over, by digest, and until when they are not looked at again.
        self._fatal: OrderedDict[bytes, float] = OrderedDict()

    @property
    def pid(self) -> int | None:
        """The worker's process id; None while there is none."""
        return self._worker.pid

    async def lay_out(self, width: int, height: int) -> Layout:
        layout = await self._laid_out(width, height)
        together = _num_together(layout)
        if together and together > await self.most_together():
            raise _unreadable(width, height)
        return layout

    async def most_together(self) -> int:
        if self._most_together is None:
            counts = [await self._num_together_of(*size) for size in _LARGEST]
            self._most_together = min(_MOST_TOGETHER, max(counts))
        return self._most_together

    async def _num_together_of(self, width: int, height: int) -> int:
        try:
            return _num_together(await self._laid_out(width, height))
        except InvalidRequest:
            # Too large for the model: it never reads one.
            return 0

    async def _laid_out(self, width: int, height: int) -> Layout:
        known = self._layouts.get((width, height))
        if known is not None:
            return known
        question: Header = {"op": "lay_out", "width": width, "height": height}
        try:
            try:
                answer, _ = await self._ask(question, b"", _LAY_OUT_SECONDS)
            except _WorkerEnded:
                # It may have been put out of memory with its model at this moment.
                answer, _ = await self._ask(question, b"", _LAY_OUT_SECONDS)
        except Refused:
            raise _unreadable(width, height) from None
        if len(self._layouts) >= _MOST_LAYOUTS:
            self._layouts.clear()
        layout = self._layouts[width, height] = _layout(answer)
        return layout

    async def look(self, picture: Picture, *, salt: str) -> bytes:
        digest = picture.digest
        if asyncio.get_running_loop().time() < self._fatal.get(digest, 0.0):
            raise RequestQuarantined("a projector's worker ended over such a picture in the last ten minutes")
        question: Header = {
            "op": "look",
            "width": picture.width,
            "height": picture.height,
            "digest": digest.hex(),
            "salt": salt,
        }
        try:
            _, rows = await self._ask(question, picture.pixels, _LOOK_SECONDS)
        except Refused as error:
            raise EngineFailed(f"the projector refused a picture: {error}") from error
        except _WorkerEnded:
            self._fatal[digest] = asyncio.get_running_loop().time() + _QUARANTINE_SECONDS
            if len(self._fatal) > _MOST_FATAL:
                self._fatal.popitem(last=False)
            raise
        return rows

    async def aclose(self) -> None:
        """End the worker. May be called any number of times; another picture starts it again."""
        await self._worker.aclose()

    async def _ask(self, question: Header, raw: bytes, seconds: float) -> tuple[Header, bytes]:
        async with self._turns.taken():
            try:
                return await self._worker.ask(question, raw, seconds=seconds)
            except TimeoutError:
                raise _WorkerEnded(f"the projector's worker took longer than {seconds:g} s, and was ended") from None
            except WorkerFailed as error:
                # Not EngineDied: the engine itself, and whatever else runs on it, is well.
                raise _WorkerEnded(f"the projector's worker ended: {error}: {error.last_words[-500:]}") from error

    def _arguments(self) -> Sequence[str]:
        options = self._options
        described = {
            "model": str(options.model),
            "build": None if options.build is None else str(options.build),
            "projector": str(options.projector),
            "num_threads": options.num_threads,
            "memory_bytes": options.memory_bytes,
        }
        return [json.dumps(described)]


class EchoVision:
    """Implements `core.picture.Vision` for the echo engine: every picture takes the same room, and its rows say nothing."""

    async def lay_out(self, width: int, height: int) -> Layout:  # noqa: ARG002 - whatever the size
        return (Rows(count=_ECHO_ROWS, num_positions=_ECHO_ROWS),)

    async def most_together(self) -> int:
        return 0

    async def look(self, picture: Picture, *, salt: str) -> bytes:  # noqa: ARG002 - nothing is seen
        return bytes(4 * _ECHO_ROWS)


def _num_together(layout: Layout) -> int:
    return max((part.count for part in layout if isinstance(part, Rows) and not part.is_causal), default=0)


def _unreadable(width: int, height: int) -> InvalidRequest:
    return InvalidRequest(
        f"The image of {width} x {height} pixels cannot be read by this model.", code="invalid_image_size"
    )


def _layout(answer: Header) -> Layout:
    parts = answer.get("parts")
    if not isinstance(parts, list):
        raise EngineFailed("the projector's worker laid nothing out")
    layout: list[Marks | Rows] = []
    for kind, *what in parts:
        if kind == "marks":
            layout.append(Marks(tuple(what[0])))
        else:
            count, num_positions, columns, is_causal = what
            layout.append(Rows(count=count, num_positions=num_positions, columns=columns, is_causal=is_causal))
    return tuple(layout)
