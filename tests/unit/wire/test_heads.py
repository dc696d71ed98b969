"""A request's headers by look-up: as Starlette answers, whatever is asked."""

import pytest
from starlette.datastructures import Headers

from parley.api.heads import HttpRequest, headers_of

RAW = [
    (b"host", b"localhost"),
    (b"authorization", b"Bearer a"),
    (b"authorization", b"Bearer b"),
    (b"x-latin", b"caf\xe9"),
    (b"x-empty", b""),
]


def scope() -> dict[str, object]:
    return {"type": "http", "method": "GET", "path": "/", "headers": list(RAW), "state": {}}


@pytest.mark.parametrize("name", ["host", "Host", "authorization", "X-Latin", "x-empty", "missing", "Missing"])
def test_each_question_has_the_answer_that_starlette_gives(name: str) -> None:
    ours, theirs = headers_of(scope()), Headers(raw=RAW)
    assert ours.get(name) == theirs.get(name)
    assert ours.get(name, "other") == theirs.get(name, "other")
    assert ours.getlist(name) == theirs.getlist(name)
    assert (name in ours) == (name in theirs)
    assert ours.items() == theirs.items()


def test_a_header_that_is_not_there_has_no_value() -> None:
    with pytest.raises(KeyError):
        headers_of(scope())["missing"]


def test_what_is_done_to_a_list_of_values_does_not_reach_the_headers() -> None:
    headers = headers_of(scope())
    headers.getlist("authorization").clear()
    assert headers.getlist("authorization") == ["Bearer a", "Bearer b"]


def test_a_head_is_read_once_for_all_layers() -> None:
    request = scope()
    assert HttpRequest(request).headers is headers_of(request)
