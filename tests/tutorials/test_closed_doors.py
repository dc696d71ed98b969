"""The running server asks for a key wherever its route table says so."""

import json
import urllib.error
import urllib.request

import pytest

from parley.api.call import Access
from parley.api.routing import Route
from tests.builders_routes import declared_routes
from tests.live import LiveServer

ROUTES = declared_routes()


def status_and_body(server: LiveServer, route: Route, headers: dict[str, str]) -> tuple[int, bytes]:
    path = route.path.replace("{model}", "gpt-4").replace("{engine_id}", "davinci")
    content = b"{}" if route.method == "POST" else None
    request = urllib.request.Request(
        server.url + path, content, {"content-type": "application/json", **headers}, method=route.method
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as reply:
            return reply.status, reply.read()
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.code, refusal.read()


def named(route: Route) -> str:
    return f"{route.method} {route.path}"


@pytest.mark.parametrize("route", [r for r in ROUTES if r.access is not Access.PUBLIC], ids=named)
@pytest.mark.parametrize(
    "headers", [{}, {"authorization": "Bearer sk-wrong-0123456789abcdef"}], ids=["no key", "wrong key"]
)
def test_a_closed_route_is_closed(live_server: LiveServer, route: Route, headers: dict[str, str]) -> None:
    status, body = status_and_body(live_server, route, headers)
    # After twenty wrong keys in a minute, 429: no less closed.
    assert status in ({401, 429} if headers else {401})
    assert set(json.loads(body)["error"]) == {"message", "type", "param", "code"}


@pytest.mark.parametrize("route", [r for r in ROUTES if r.access is Access.PUBLIC], ids=named)
def test_a_public_route_is_open(live_server: LiveServer, route: Route) -> None:
    status, body = status_and_body(live_server, route, {})
    # What lets people in is open, and refuses a body in which nobody is named.
    assert status == (200 if route.method == "GET" else 400)
    assert body
