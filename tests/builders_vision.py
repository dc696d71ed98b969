"""Models that see: made on the spot, with a projector of each kind that places its rows in a way of its own."""

import base64
import random
import struct
import zlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from msgspec import structs

from parley.core.picture import Picture, PlacedPicture, Vision, place
from parley.core.requests import SequenceRequest
from parley.serving.engines.child import Supervision
from parley.serving.engines.llama import LlamaEngine, LlamaOptions
from parley.serving.engines.vision import VisionOptions, WorkerVision
from tests.builders_engines import Outcome, byte_ids, round_of, run_round
from tests.gguf_maker import Shape, write_model
from tests.vision_maker import GEMMA_MARKS, IDEFICS_MARKS, IDEFICS_TILES, QWEN_MARKS, Eye, write_projector


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighted:
    """A model and its projector as they are to be made."""

    shape: Shape
    eye: Eye


# Rows in lines and columns; rows one after another; rows that see each other; a picture cut into tiles.
LINES = Sighted(shape=Shape(markers=QWEN_MARKS, architecture="qwen2vl"), eye=Eye(kind="qwen2vl_merger"))
ONE_AFTER_ANOTHER = Sighted(shape=Shape(), eye=Eye(kind="mlp"))
TOGETHER = Sighted(shape=Shape(markers=GEMMA_MARKS), eye=Eye(kind="gemma3"))
TILES = Sighted(shape=Shape(markers=(*IDEFICS_MARKS, *IDEFICS_TILES)), eye=Eye(kind="idefics3", longest_side=64))
KINDS: Mapping[str, Sighted] = {
    "lines": LINES, "one after another": ONE_AFTER_ANOTHER, "together": TOGETHER, "tiles": TILES
}  # fmt: skip


def write_sighted(folder: Path, sighted: Sighted) -> VisionOptions:
    """Both files, and how to load them."""
    return VisionOptions(
        model=write_model(folder / "model.gguf", sighted.shape),
        projector=write_projector(folder / "projector.gguf", sighted.eye),
        num_threads=1,
    )


def picture(seed: int, width: int = 48, height: int = 32) -> Picture:
    """Noise: the same for the same seed."""
    return Picture(width=width, height=height, pixels=random.Random(seed).randbytes(3 * width * height))


@dataclass(frozen=True, slots=True, kw_only=True)
class Seeing:
    """An engine with what sees for it."""

    engine: LlamaEngine
    vision: WorkerVision

    async def answer(self, *parts: str | Picture, **asked: object) -> Outcome:
        """A whole round on these texts and pictures."""
        return await run_round(self.engine, await request_of(self.vision, *parts, **asked))

    async def scores(self, *parts: str | Picture, salt: str = "") -> dict[int, float]:
        """Log-probabilities of the 20 likeliest next tokens, by their ids: they show every difference in what was read."""
        request = await request_of(self.vision, *parts, max_tokens=1, logprobs=20, temperature=0.0)
        (token,) = (await run_round(self.engine, structs.replace(request, cache_salt=salt))).scored[0]
        return {top.token_id or 0: top.logprob for top in token.top}


async def request_of(vision: Vision, *parts: str | Picture, **asked: object) -> SequenceRequest:
    """A round on texts, in byte tokens, and pictures, one after another."""
    cells: list[int] = []
    placed: list[PlacedPicture] = []
    for part in parts:
        if isinstance(part, str):
            cells += byte_ids(part)
            continue
        its_cells, where = place(part, await vision.lay_out(part.width, part.height), start=len(cells))
        cells += its_cells
        placed.append(where)
    return structs.replace(round_of(cells, **asked), pictures=tuple(placed))  # type: ignore[arg-type]


@asynccontextmanager
async def seeing(
    folder: Path, sighted: Sighted = LINES, *, batch_tokens: int = 256, num_slots: int = 4
) -> AsyncIterator[Seeing]:
    """A started engine and its vision, on files written into `folder`."""
    files = write_sighted(folder, sighted)
    vision = WorkerVision(files)
    options = LlamaOptions(
        model=files.model,
        context_length=512,
        num_slots=num_slots,
        num_threads=1,
        batch_tokens=batch_tokens,
        supervision=Supervision(first_backoff_seconds=0.05),
    )
    engine = LlamaEngine(options, vision=vision)
    try:
        await engine.start()
        yield Seeing(engine=engine, vision=vision)
    finally:
        await engine.aclose()
        await vision.aclose()


def differ(one: Mapping[int, float], other: Mapping[int, float]) -> bool:
    """Whether two sets of log-probabilities are of different prompts: the cache's 16 bits make less than this."""
    shared = one.keys() & other.keys()
    return len(shared) < len(one) // 2 or max(abs(one[token_id] - other[token_id]) for token_id in shared) > 0.05


def png_of(width: int, height: int, bits: int = 1) -> bytes:
    """A PNG in one colour, in base64, whose file is small however many pixels it has."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    packer = zlib.compressobj(9)
    line = bytes(1 + -(-width * bits // 8))
    packed = b"".join(packer.compress(line) for _ in range(height)) + packer.flush()
    head = struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0)
    content = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")
    return base64.b64encode(content)
