"""What a browser lets a page of another origin do."""

import pytest

from parley.api.stack import EdgeRules
from tests.builders_edge import ask, request, running_edge

ALLOWED = "https://chat.example.org"
OPEN = EdgeRules(cors_origins=("*",))


def preflight(origin: str, path: str = "/v1/chat/completions") -> bytes:
    return request(
        "OPTIONS",
        path,
        key=None,
        Origin=origin,
        Access_Control_Request_Method="POST",
        Access_Control_Request_Headers="authorization,content-type,x-stainless-os",
    )


async def test_preflight_allows_what_was_asked_for_without_a_key():
    async with running_edge() as edge:
        reply = await ask(edge, preflight(ALLOWED))
        assert reply.status == 204
        assert reply.headers["access-control-allow-origin"] == ALLOWED
        assert reply.headers["access-control-allow-headers"] == "authorization,content-type,x-stainless-os"
        assert "POST" in reply.headers["access-control-allow-methods"]
        assert reply.headers["vary"] == "Origin"


async def test_every_origin_is_allowed_only_without_credentials():
    async with running_edge(rules=OPEN) as edge:
        for data in (preflight("https://a.example"), request(Origin="https://a.example")):
            reply = await ask(edge, data)
            assert reply.headers["access-control-allow-origin"] == "*"
            assert "access-control-allow-credentials" not in reply.headers


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "https://chat.example.org.evil.example", "https://CHAT.example.org:8"]
)
async def test_other_origins_get_no_leave(origin):
    async with running_edge() as edge:
        for data in (preflight(origin), request(Origin=origin)):
            reply = await ask(edge, data)
            assert not [name for name in reply.headers if name.startswith("access-control-")]
            assert reply.headers["vary"] == "Origin"


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (request(Origin=ALLOWED), 200),
        (request(Origin=ALLOWED, key=None), 401),
        (request(Origin=ALLOWED, path="/v1/nothing"), 404),
        (request(Origin=ALLOWED, path="/v1/broken"), 500),
        (request(Origin=ALLOWED, Content_Encoding="gzip"), 415),
    ],
)
async def test_page_may_read_refusals_too(data, status):
    async with running_edge() as edge:
        reply = await ask(edge, data)
        assert reply.status == status
        assert reply.headers["access-control-allow-origin"] == ALLOWED
        assert "x-request-id" in reply.headers["access-control-expose-headers"]


async def test_a_page_may_read_every_header_that_the_official_client_reads():
    async with running_edge(rules=OPEN) as edge:
        reply = await ask(edge, request(Origin="https://a.example"))
        exposed = set(reply.headers["access-control-expose-headers"].split(", "))
        assert exposed >= {"x-request-id", "retry-after", "retry-after-ms", "x-should-retry"}
