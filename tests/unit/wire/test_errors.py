"""The mapping from errors to HTTP: no error without a status, and the headers that tell a client whether to come back."""

import json
from collections.abc import Iterator

import pytest

from parley.api.errors import error_body
from parley.core import errors
from parley.core.errors import EngineFailed, Overloaded, ParleyError, RateLimited, RequestTooLarge


def all_kinds(kind: type[ParleyError] = ParleyError) -> Iterator[type[ParleyError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from all_kinds(child)


SPECIAL: dict[type[ParleyError], ParleyError] = {
    errors.MethodNotAllowed: errors.MethodNotAllowed("m", allowed=("GET",)),
    RequestTooLarge: RequestTooLarge("m", status=413),
    RateLimited: RateLimited("m", kind="tokens", code="rate_limit_exceeded", retry_after_seconds=1.0),
}


def status_of(error: ParleyError) -> int:
    return error_body(error, "req_1")[0]


def headers_of(error: ParleyError) -> dict[str, str]:
    return error_body(error, "req_1")[2]


@pytest.mark.parametrize("kind", list(all_kinds()))
def test_every_error_has_a_status(kind):
    assert 400 <= status_of(SPECIAL.get(kind) or kind("m")) <= 503


@pytest.mark.parametrize("status", [408, 414, 415, 431])
def test_other_caps_keep_their_status_and_are_the_clients_fault(status):
    code, body, _ = error_body(RequestTooLarge("m", status=status), "req_1")
    assert (code, json.loads(body)["error"]["type"]) == (status, "invalid_request_error")


def test_nothing_of_a_failure_inside_reaches_the_client():
    _, body, _ = error_body(EngineFailed("SIGSEGV at 0xdeadbeef in /srv/llama.gguf"), "req_1")
    assert b"0xdeadbeef" not in body
    assert b"gguf" not in body
    assert b"req_1" in body


@pytest.mark.parametrize("request_id", [f"req_{number}" for number in range(50)])
def test_waits_are_spread_by_a_fifth_and_never_beyond_what_clients_accept(request_id):
    _, _, headers = error_body(Overloaded("m", retry_after_seconds=10), request_id)
    assert 8_000 <= int(headers["retry-after-ms"]) <= 12_001
    # Whole seconds: a common client library refuses to read others.
    assert int(headers["retry-after"]) in range(8, 14)
    _, _, longest = error_body(Overloaded("m", retry_after_seconds=10_000), request_id)
    assert int(longest["retry-after"]) == 120


def test_clients_that_were_refused_together_do_not_come_back_together():
    waits = {
        error_body(Overloaded("m", retry_after_seconds=10), f"req_{number}")[2]["retry-after-ms"]
        for number in range(50)
    }
    assert len(waits) > 40


def test_where_no_wait_helps_the_client_is_told_not_to_retry():
    error = RateLimited("m", kind="insufficient_quota", code="insufficient_quota", retry_after_seconds=None)
    assert headers_of(error) == {"x-should-retry": "false"}


def test_where_the_wait_is_longer_than_clients_accept_they_are_told_not_to_retry():
    error = RateLimited("m", kind="requests", code="rate_limit_exceeded", retry_after_seconds=43_200.0)
    assert headers_of(error) == {"retry-after-ms": "120000", "retry-after": "120", "x-should-retry": "false"}
    short = RateLimited("m", kind="requests", code="rate_limit_exceeded", retry_after_seconds=120.0)
    assert "x-should-retry" not in headers_of(short)
