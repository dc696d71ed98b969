"""What is open without a key: the landing page, health and readiness, each through the real route table."""

import base64
import hashlib
import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date

import pytest

from parley.api.call import Access
from parley.api.listener import open_listener
from parley.api.platform.schemas.requests import AcceptInviteRequest, AskResetRequest, ResetRequest
from parley.api.routes import route_table
from parley.api.routing import RouteTable
from parley.core.price import FREE
from parley.core.snapshot import Capability, EngineKind, Snapshot, Weights
from parley.web.door import DoorPage
from parley.web.landing import LandingPage
from tests.builders_edge import FakeEdge, ask, request, running_edge


def entry(name: str, *, weights: str | None = "tiny-chat", description: str = "") -> tuple[str, Snapshot, bool]:
    served = None
    if weights is not None:
        served = Weights(
            name=weights,
            engine=EngineKind.ECHO,
            path=None,
            sha256=None,
            context_length=4097,
            template="chatml",
            description=description,
        )
    snapshot = Snapshot(
        name=name,
        family=name,
        weights=served,
        promised_context_length=4096,
        capabilities=frozenset({Capability.CHAT}),
        price=FREE,
        created=1_677_610_602,
        shutdown_date=date(2030, 1, 1),
    )
    return name, snapshot, False


@dataclass(kw_only=True)
class FakeCatalog:
    listed: Sequence[tuple[str, Snapshot, bool]] = field(default_factory=lambda: [entry("gpt-3.5-turbo-0301")])

    def entries(self) -> Sequence[tuple[str, Snapshot, bool]]:
        return self.listed


@dataclass(kw_only=True)
class PagesEdge(FakeEdge):
    """The real route table over fake services."""

    is_ready: bool = True
    catalog: FakeCatalog = field(default_factory=FakeCatalog)

    def routes(self) -> RouteTable:
        return route_table(is_ready=self._ready, page=LandingPage(), door=DoorPage())

    async def _ready(self) -> bool:
        return self.is_ready


def test_only_these_paths_are_open_without_a_key():
    open_paths = {route.path for route in PagesEdge().routes().routes if route.access is Access.PUBLIC}
    entrance = {
        f"/v1/account/{verb}" for verb in ("sign_up", "verify", "log_in", "ask_reset", "reset", "accept_invite")
    }
    assert open_paths == {"/", "/invite", "/reset", "/health", "/ready", "/openapi.json"} | entrance


async def test_every_route_of_the_real_table_asks_for_a_key_unless_public():
    async with running_edge(edge=PagesEdge()) as edge:
        for route in edge.routes().routes:
            path = re.sub(r"\{\w+\}", "x", route.path)
            reply = await ask(edge, request(route.method, path, key=None))
            assert (reply.status == 401) is (route.access is not Access.PUBLIC), route


async def test_landing_page_shows_the_address_and_the_models():
    async with running_edge(edge=PagesEdge()) as edge:
        reply = await ask(edge, request("GET", "/", key=None))
        text = reply.body.decode()
        assert reply.headers["content-type"] == "text/html; charset=utf-8"
        assert "curl http://localhost/v1/chat/completions" in text
        assert "gpt-3.5-turbo-0301" in text
        assert "tiny-chat" in text
        for link in ("/openapi.json", "/v1/models", "/health"):
            assert f'href="{link}"' in text


async def test_landing_page_may_load_nothing_and_has_no_script():
    async with running_edge(edge=PagesEdge()) as edge:
        reply = await ask(edge, request("GET", "/", key=None))
        policy = reply.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; style-src 'sha256-")
        assert "unsafe" not in policy
        text = reply.body.decode()
        assert "<script" not in text
        assert not re.search(r"(?:src|href)=\"https?:", text)


@pytest.mark.parametrize("path", ["/invite", "/reset"])
async def test_what_a_mail_links_to_is_a_page_with_one_script_that_its_policy_names(path):
    async with running_edge(edge=PagesEdge()) as edge:
        reply = await ask(edge, request("GET", path, key=None))
        assert (reply.status, reply.headers["content-type"]) == (200, "text/html; charset=utf-8")
        (script,) = re.findall(r"<script>(.*?)</script>", reply.body.decode(), re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        policy = reply.headers["content-security-policy"]
        assert f"script-src 'sha256-{digest}'" in policy
        assert policy.startswith("default-src 'none'")
        assert "unsafe" not in policy
        assert reply.headers["referrer-policy"] == "no-referrer"


def test_the_forms_behind_a_mail_s_link_send_what_their_routes_take():
    text = DoorPage().body.decode()
    routes = {route.path for route in PagesEdge().routes().routes if route.method == "POST"}
    for name, wire_type in (("invite", AcceptInviteRequest), ("reset", ResetRequest), ("ask", AskResetRequest)):
        (path, form) = re.search(rf'<form id="{name}" data-to="([^"]+)" hidden>(.*?)</form>', text, re.DOTALL).groups()
        assert path in routes
        sent = set(re.findall(r'name="(\w+)"', form)) | (set() if name == "ask" else {"token"})
        assert sent == set(wire_type.__struct_encode_fields__)


def test_landing_page_escapes_what_it_shows():
    page = LandingPage().render('http://a"><b>', [entry("<i>name</i>", weights="<u>", description="<s>&")]).decode()
    for tag in ("<b>", "<i>", "<u>", "<s>"):
        assert tag not in page
    assert "&lt;s&gt;&amp;" in page


def test_landing_page_without_a_model_says_how_to_get_one():
    page = LandingPage().render("http://a", [entry("gpt-4", weights=None)]).decode()
    assert "No model is installed" in page


async def test_readiness_is_told_in_openais_envelope_when_there_is_none():
    edge = PagesEdge()
    async with running_edge(edge=edge):
        assert (await ask(edge, request("GET", "/ready", key=None))).status == 200
        edge.is_ready = False
        reply = await ask(edge, request("GET", "/ready", key=None))
        assert reply.status == 503
        assert reply.error["type"] == "service_unavailable_error"
        assert (await ask(edge, request("GET", "/health", key=None))).json() == {"status": "ok"}


def test_listener_sends_small_writes_at_once():
    """Otherwise each token waits for the acknowledgement of the one before: 90 ms a stream were seen."""
    with open_listener("127.0.0.1", 0) as listener:
        assert listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.parametrize("path", ["/v1/answers", "/v1/classifications", "/v1/engines/davinci/search"])
async def test_retired_paths_say_so(path):
    async with running_edge(edge=PagesEdge()) as edge:
        reply = await ask(edge, request(path=path))
        assert reply.status == 404
        assert "retired" in reply.error["message"]
