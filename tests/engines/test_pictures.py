"""The picture worker as requests meet it: limits, memory, bombs, and what becomes of the worker (G6 to G9)."""

import asyncio
import base64
import gc
import io
import os
import resource
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from PIL import Image

from parley.core.errors import InvalidRequest, Overloaded
from parley.core.picture import Detail, PictureSource
from parley.serving.prompting.pictures import PictureLimits, PictureReader
from tests.builders_vision import png_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

LIMITS = PictureLimits(max_pictures=3, max_pixels=1_000_000, memory_bytes=200_000)


@pytest_asyncio.fixture(loop_scope="module")
async def reader() -> AsyncIterator[PictureReader]:
    made = PictureReader(LIMITS)
    yield made
    await made.aclose()


def source(width: int = 64, height: int = 32, *, detail: Detail = Detail.AUTO, colour: str = "red") -> PictureSource:
    held = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(held, "PNG")
    return PictureSource(encoded=base64.b64encode(held.getvalue()).decode(), detail=detail, param="here")


def junk(content: bytes) -> PictureSource:
    return PictureSource(encoded=base64.b64encode(content).decode(), detail=Detail.AUTO, param="here")


async def refusal(reader: PictureReader, *sources: PictureSource) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as refused:
        await reader.read(sources)
    return refused.value


async def test_pictures_come_in_order_with_their_pixels(reader: PictureReader) -> None:
    red, blue = await reader.read([source(), source(16, 8, colour="blue")])
    assert (red.width, red.height, red.pixels) == (64, 32, b"\xff\x00\x00" * 64 * 32)
    assert (blue.width, blue.height, blue.pixels) == (16, 8, b"\x00\x00\xff" * 16 * 8)


async def test_detail_says_how_small_a_picture_becomes(reader: PictureReader) -> None:
    sizes = []
    for detail in Detail:
        (read,) = await reader.read([source(990, 990, detail=detail)])
        sizes.append((detail, read.width, read.height))
        del read
    assert sizes == [(Detail.AUTO, 768, 768), (Detail.LOW, 512, 512), (Detail.HIGH, 768, 768)]


async def test_too_many_pictures_are_refused_before_any_is_decoded(reader: PictureReader) -> None:
    refused = await refusal(reader, *[junk(b"no picture")] * 4)
    assert (refused.param, refused.code) == ("messages", "too_many_images")
    assert "at most 3; you sent 4" in refused.message
    assert reader.pid is None


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (junk(b"no picture"), "invalid_image_format"),
        (junk(base64.b64decode(png_of(1_001, 1_000))), "invalid_image_size"),
        (PictureSource(encoded="no*base64", detail=Detail.AUTO, param="here"), "invalid_base64"),
    ],
    ids=["no picture", "too large", "no base64"],
)
async def test_what_is_wrong_is_said_of_the_picture_it_is_wrong_with(
    reader: PictureReader, content: PictureSource, code: str
) -> None:
    refused = await refusal(reader, source(), content)
    assert (refused.param, refused.code) == ("here", code)
    # The worker is well.
    pid = reader.pid
    assert await reader.read([source()])
    assert reader.pid == pid


async def test_g6_a_bomb_is_refused_and_costs_the_service_nothing(reader: PictureReader) -> None:
    bombs = [junk(base64.b64decode(png_of(13_300, 13_300))), junk(base64.b64decode(png_of(16_000, 16_000)))]
    for form in ("GIF", "WEBP", "JPEG"):
        held = io.BytesIO()
        Image.new("L", (4_000, 4_000)).save(held, form)
        bombs.append(junk(held.getvalue()))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for bomb in bombs:
        assert (await refusal(reader, bomb)).code == "invalid_image_size"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024
    assert reader.pid is not None
    peak = next(
        int(line.split()[1]) for line in Path(f"/proc/{reader.pid}/status").read_text().splitlines() if "VmHWM" in line
    )
    assert peak < 200 * 1024


async def test_memory_is_counted_while_somebody_has_the_picture(reader: PictureReader) -> None:
    kept = await reader.read([source(300, 200), source(100, 100)])
    assert reader.num_bytes == 3 * (300 * 200 + 100 * 100)
    with pytest.raises(Overloaded):
        await reader.read([source()])
    kept.pop(0)
    gc.collect()
    assert reader.num_bytes == 3 * 100 * 100
    assert len(await reader.read([source()])) == 1
    kept.clear()
    gc.collect()
    assert reader.num_bytes == 0


async def test_a_picture_that_ends_the_worker_is_refused_and_the_next_is_read(reader: PictureReader) -> None:
    assert await reader.read([source()])
    pid = reader.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    reading = asyncio.ensure_future(reader.read([source()]))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.shield(reading), 0.1)
    os.kill(pid, signal.SIGSEGV)
    os.kill(pid, signal.SIGCONT)
    with pytest.raises(InvalidRequest) as refused:
        await reading
    assert refused.value.code == "invalid_image_format"
    assert await reader.read([source()])
    assert reader.pid not in {None, pid}


async def test_who_leaves_while_a_picture_is_decoded_holds_up_nobody(reader: PictureReader) -> None:
    assert await reader.read([source()])
    assert reader.pid is not None
    os.kill(reader.pid, signal.SIGSTOP)
    reading = asyncio.ensure_future(reader.read([source()]))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.shield(reading), 0.1)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert await reader.read([source()])
