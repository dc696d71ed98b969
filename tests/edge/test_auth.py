"""Keys: how they are sent, what a wrong one gets to read, and how many wrong ones an address may send."""

import base64
from ipaddress import ip_network

import pytest
from starlette.requests import Request

from parley.api.auth import masked
from parley.api.bad_keys import BadKeys
from parley.api.client_address import client_address
from parley.api.stack import EdgeRules
from parley.core.clock import FakeClock
from parley.core.errors import RateLimited
from tests.builders_edge import KEY, READ_ONLY_KEY, ask, connected, request, running_edge


def basic(name: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


@pytest.mark.parametrize(
    "value",
    [f"Bearer {KEY}", f"bearer {KEY}", f"BEARER   {KEY} ", basic("", KEY), basic("", KEY).replace("Basic", "basic")],
)
async def test_key_is_taken_in_each_form_that_openai_takes(value):
    async with running_edge() as edge:
        assert (await ask(edge, request("GET", "/v1/models", key=None, Authorization=value))).status == 200


@pytest.mark.parametrize(
    "value",
    ["", "Bearer", "Bearer ", KEY, f"Token {KEY}", basic("user", KEY), basic("", ""), "Basic !!!", "Basic"],
)
async def test_request_without_a_key_is_told_how_to_send_one(value):
    async with running_edge() as edge:
        reply = await ask(edge, request("GET", "/v1/models", key=None, Authorization=value))
        assert reply.status == 401
        assert reply.error["message"].startswith(
            "You didn't provide an API key. You need to provide your API key in an"
        )
        assert reply.error["code"] is None
        assert not edge.keys.looked_up


async def test_two_authorization_headers_are_none():
    async with running_edge() as edge:
        data = request("GET", "/v1/models", key=KEY, Authorization=f"Bearer {KEY}")
        assert (await ask(edge, data)).status == 401


async def test_wrong_key_is_shown_masked():
    async with running_edge() as edge:
        reply = await ask(edge, request("GET", "/v1/models", key="sk-v3s3wAAAAAAAAAAAAAAAbfcr"))
        assert reply.status == 401
        assert reply.error["code"] == "invalid_api_key"
        assert reply.error["message"].startswith(
            "Incorrect API key provided: sk-v3s3w***************bfcr. You can find"
        )


@pytest.mark.parametrize(
    "key", ["short", "x" * 300, "with space inside it", "ключ-ключ-ключ-ключ-ключ".encode().decode("latin-1")]
)
async def test_malformed_key_costs_no_look_up(key):
    async with running_edge() as edge:
        reply = await ask(edge, request("GET", "/v1/models", key=key))
        assert reply.status == 401
        assert key.encode("latin-1") not in reply.body
        assert not edge.keys.looked_up


@pytest.mark.parametrize(
    ("key", "shown"), [("a" * 19, "*" * 19), ("sk-1", "****"), ("b" * 20, "b" * 8 + "*" * 8 + "b" * 4)]
)
def test_mask_hides_short_keys_whole(key, shown):
    assert masked(key) == shown


async def test_unknown_key_is_refused_before_the_body_is_read():
    async with running_edge() as edge, connected(edge) as wire:
        await wire.send(request(path="/v1/edits", body=b"", key="sk-wrong-wrong-wrong-wrong", Content_Length="1000"))
        # Not one byte of the body has been sent.
        assert (await wire.reply()).status == 401
        assert not edge.bodies


async def test_key_without_the_scope_is_401_and_names_it():
    async with running_edge() as edge:
        assert (await ask(edge, request("GET", "/v1/models", key=READ_ONLY_KEY))).status == 200
        reply = await ask(edge, request(path="/v1/edits", key=READ_ONLY_KEY))
        assert reply.status == 401
        assert "Missing scopes: model.request." in reply.error["message"]
        # The one body is that of the request which was allowed.
        assert edge.bodies == [b""]


@pytest.mark.parametrize(
    ("name", "value", "status", "code"),
    [
        ("OpenAI_Organization", "org-edge", 200, None),
        ("OpenAI_Organization", "", 200, None),
        ("OpenAI_Organization", "org-other", 401, "mismatched_organization"),
        ("OpenAI_Project", "proj_edge", 200, None),
        ("OpenAI_Project", "proj_other", 401, "mismatched_project"),
    ],
)
async def test_named_owner_must_be_the_keys(name, value, status, code):
    async with running_edge() as edge:
        reply = await ask(edge, request("GET", "/v1/models", **{name: value}))
        assert reply.status == status
        assert status == 200 or reply.error["code"] == code


async def test_browser_is_asked_for_the_key_and_a_script_is_not():
    async with running_edge() as edge:
        visit = await ask(edge, request("GET", "/v1/models", key=None, Sec_Fetch_Mode="navigate"))
        assert visit.headers["www-authenticate"] == 'Basic realm="Parley: blank user name, key as password"'
        call = await ask(edge, request("GET", "/v1/models", key=None, Sec_Fetch_Mode="cors"))
        assert call.headers["www-authenticate"] == 'Bearer realm="Parley"'


ELSEWHERE = (
    {"Sec_Fetch_Site": "cross-site", "Origin": "https://evil.example"},
    {"Sec_Fetch_Site": "same-site", "Origin": "http://localhost:3000"},
    {"Sec_Fetch_Site": "cross-site", "Origin": "http://localhost"},
    {"Origin": "https://evil.example"},
    {"Origin": "http://localhost.evil.example"},
    {"Origin": "null"},
)
HERE = (
    {},
    {"Sec_Fetch_Site": "none"},
    {"Sec_Fetch_Site": "same-origin", "Origin": "https://behind.a.proxy.example"},
    {"Origin": "http://LOCALHOST"},
)


@pytest.mark.parametrize("headers", ELSEWHERE, ids=str)
async def test_another_sites_page_changes_nothing_with_the_key_that_a_browser_remembers(headers):
    async with running_edge() as edge:
        reply = await ask(edge, request(path="/v1/edits", key=None, Authorization=basic("", KEY), **headers))
        assert (reply.status, reply.error["code"]) == (403, "cross_site_request")
        assert not edge.bodies
        # It may have the browser read, and sees nothing of that; and a page that has a key itself may do all.
        seen = await ask(edge, request("GET", "/v1/models", key=None, Authorization=basic("", KEY), **headers))
        assert seen.status == 200
        assert "access-control-allow-credentials" not in seen.headers
        assert (await ask(edge, request(path="/v1/edits", key=KEY, **headers))).status == 200


@pytest.mark.parametrize("headers", HERE, ids=str)
async def test_a_key_by_basic_changes_what_its_own_user_asks_for(headers):
    async with running_edge() as edge:
        reply = await ask(edge, request(path="/v1/edits", key=None, Authorization=basic("", KEY), **headers))
        assert reply.status == 200


async def test_many_wrong_keys_are_429_and_the_right_one_still_works():
    async with running_edge() as edge:
        statuses = [(await ask(edge, request("GET", "/v1/models", key=f"sk-wrong-{n:020}"))).status for n in range(25)]
        assert statuses == [401] * 20 + [429] * 5
        refused = await ask(edge, request("GET", "/v1/models", key="sk-wrong-wrong-wrong-wrong"))
        assert float(refused.headers["retry-after"]) > 0
        assert (await ask(edge, request("GET", "/v1/models"))).status == 200


async def test_forged_forwarded_for_does_not_evade_the_limit():
    async with running_edge() as edge:
        for n in range(25):
            reply = await ask(
                edge, request("GET", "/v1/models", key="sk-wrong-wrong-wrong-wrong", X_Forwarded_For=f"10.0.0.{n}")
            )
        assert reply.status == 429


async def test_forwarded_for_counts_from_a_trusted_proxy():
    rules = EdgeRules(trusted_proxies=(ip_network("127.0.0.0/8"),))
    async with running_edge(rules=rules) as edge:
        for n in range(25):
            reply = await ask(
                edge, request("GET", "/v1/models", key="sk-wrong-wrong-wrong-wrong", X_Forwarded_For=f"10.0.0.{n}")
            )
        assert reply.status == 401


def test_wrong_keys_are_forgiven_with_time_by_the_monotonic_clock():
    clock = FakeClock()
    bad_keys = BadKeys(clock, num_per_minute=2)
    for _ in range(2):
        bad_keys.count("a")
    with pytest.raises(RateLimited) as refusal:
        bad_keys.count("a")
    assert refusal.value.retry_after_seconds == pytest.approx(30)
    bad_keys.count("b")
    clock.advance(30)
    bad_keys.count("a")
    with pytest.raises(RateLimited):
        bad_keys.count("a")


def test_addresses_are_forgotten_when_there_are_too_many():
    bad_keys = BadKeys(FakeClock(), num_per_minute=1, max_addresses=2)
    for address in ("a", "b", "c"):
        bad_keys.count(address)
    bad_keys.count("a")
    with pytest.raises(RateLimited):
        bad_keys.count("c")


PROXIES = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("192.0.2.1", "", "192.0.2.1"),
        ("192.0.2.1", "203.0.113.9", "192.0.2.1"),
        ("10.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "6.6.6.6, 203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "203.0.113.9, 10.0.0.2", "203.0.113.9"),
        ("10.0.0.1", "nonsense", "10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "10.0.0.2", "10.0.0.2"),
        ("::ffff:10.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("2001:db8:1:2:3:4:5:6", "", "2001:db8:1:2::/64"),
        ("not an address", "203.0.113.9", "unknown"),
    ],
)
def test_client_address_is_the_nearest_that_is_no_trusted_proxy(peer, forwarded, address):
    headers = [(b"x-forwarded-for", forwarded.encode())] if forwarded else []
    http = Request({"type": "http", "headers": headers, "client": (peer, 1)})
    assert client_address(http, PROXIES) == address
