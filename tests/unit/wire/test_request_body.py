"""A request's body: when it counts as whole."""

import asyncio

from starlette.datastructures import Headers

from parley.api.request_body import BodyLimits, LargeBodies, RequestBody


def reading(parts, **headers):
    """A body whose server says each of `parts`, and never that there is no more."""
    messages = [{"type": "http.request", "body": part, "more_body": True} for part in parts]

    async def receive():
        return messages.pop(0)

    named = Headers({name.replace("_", "-"): value for name, value in headers.items()})
    return RequestBody(receive, named, BodyLimits(), LargeBodies(0))


async def read(body):
    """What whoever reads it to its end gets, part by part."""
    parts = []
    while True:
        message = await body.receive()
        parts.append(message["body"])
        if not message["more_body"]:
            return parts


def test_a_body_is_whole_with_its_last_announced_byte():
    """The server would say so in a message of its own."""
    assert asyncio.run(read(reading([b"abc", b"de"], content_length="5"))) == [b"abc", b"de"]


def test_a_body_without_an_announcement_ends_when_the_server_says_so():
    body = reading([b"abc"], transfer_encoding="chunked")
    assert asyncio.run(body.receive()) == {"type": "http.request", "body": b"abc", "more_body": True}
