"""A request's body: what it is waited for, and what of it is read."""

import asyncio

import pytest
from starlette.datastructures import Headers

from parley.api.request_body import BodyLimits, LargeBodies, RequestBody
from parley.core.errors import RequestTooLarge

IMPATIENT = BodyLimits(grace_seconds=0.0)


def body_of(*parts, is_here, limits=IMPATIENT):
    """A body that comes in these parts, a moment apart."""
    messages = [{"type": "http.request", "body": part, "more_body": part != parts[-1]} for part in parts]

    async def receive():
        await asyncio.sleep(0.05)
        return messages.pop(0)

    named = Headers({"content-length": str(len(b"".join(parts)))})
    return RequestBody(receive, named, limits, LargeBodies(0), is_here=lambda: is_here)


async def test_a_body_that_does_not_come_in_time_is_refused():
    with pytest.raises(RequestTooLarge) as refused:
        await body_of(b"abc", is_here=False).receive()
    assert refused.value.status == 408


async def test_a_body_that_is_here_has_no_deadline():
    assert (await body_of(b"abc", is_here=True).receive())["body"] == b"abc"


async def test_parts_are_handed_on_as_they_come():
    body = body_of(b"abc", b"de", is_here=False, limits=BodyLimits())
    assert [(message["body"], message["more_body"]) for message in [await body.receive(), await body.receive()]] == [
        (b"abc", True),
        (b"de", False),
    ]
