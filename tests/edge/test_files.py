"""Files as replies: sent portion by portion, ended by a client that leaves, and never told as whole where they are not."""

import asyncio
from contextlib import suppress

import pytest

from parley.api.platform.files import FileReply
from parley.api.stream import ClientGone
from parley.core.errors import Overloaded
from tests.builders_connections import serving
from tests.builders_edge import HANG_SECONDS, connected, request

HEAD = {"content-type": "application/jsonl"}


def anybody():
    """Everyone may have the file."""


async def test_a_client_that_leaves_ends_the_file():
    ended, is_wanted = asyncio.Event(), asyncio.Event()

    async def portions():
        try:
            yield b"first"
            # The second one takes for ever.
            await is_wanted.wait()
        finally:
            ended.set()

    async def app(scope, receive, send):
        with suppress(ClientGone):
            await FileReply(portions(), HEAD, check=anybody)(scope, receive, send)

    async with serving(app) as edge, connected(edge) as wire:
        await wire.send(request("GET", "/file", body=b""))
        await wire.reader.readuntil(b"first")
        wire.reset()
        await asyncio.wait_for(ended.wait(), HANG_SECONDS)


async def test_a_failure_between_two_portions_leaves_the_file_without_its_end():
    async def portions():
        yield b"first"
        raise Overloaded("too long")

    assert await sent_of(portions()) == ["http.response.start", b"first"]


async def test_a_failure_before_the_first_portion_keeps_its_status():
    async def portions():
        raise Overloaded("too long")
        yield b""

    assert await sent_of(portions()) == []


async def sent_of(portions):
    sent = []

    async def send(message):
        assert message.get("more_body", True)
        sent.append(message.get("body", message["type"]))

    with pytest.raises(Overloaded):
        await FileReply(portions, HEAD, check=anybody)({}, asyncio.Event().wait, send)
    return sent
