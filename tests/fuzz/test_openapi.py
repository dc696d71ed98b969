"""Part 8 of the text way's hardening, and row M1: Schemathesis over our own document, against the product as it is started."""

import json

import pytest

from parley.api.openapi import operation_of
from parley.api.routes import route_table
from tests.builders_routes import BlankPage, always_ready
from tests.fuzz.run import Fuzzed, echoing_server, fuzz, read_answers

# Schemathesis does not call the document that it reads.
DOCUMENT = "/openapi.json"
ROUTES = [
    route
    for route in route_table(is_ready=always_ready, page=BlankPage(), door=BlankPage()).routes
    if route.path != DOCUMENT
]
# What nobody gets in without: a token from a mail, a password that is known, or a session, which no key is.
NEEDS_A_PERSON = {
    f"{method} /v1/account/{name}"
    for method, name in (
        ("POST", "verify"),
        ("POST", "log_in"),
        ("POST", "reset"),
        ("POST", "accept_invite"),
        ("POST", "log_out"),
        ("GET", "session"),
    )
}
# What nobody makes up by chance: a file that is a recording.
NEEDS_A_RECORDING = {"POST /v1/audio/transcriptions", "POST /v1/audio/translations"}
# 1 in three of those that name an id may have met none that exists; the ids are the server's, and differ from run to run.
LEAST_REACHED = 2 / 3


@pytest.fixture(scope="module", name="fuzzed")
def _fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Fuzzed:
    folder = tmp_path_factory.mktemp("fuzz")
    with echoing_server(folder) as server:
        return fuzz(server, folder, seed=1, num_examples=8)


def test_a_sequence_that_called_nothing_is_no_reason_to_lose_a_report(tmp_path):
    called = {"cases": {"c": {"value": {"method": "GET", "path": "/x"}}}, "interactions": {"c": {"response": None}}}
    lines = [{"ScenarioFinished": {"recorder": recorder}} for recorder in ({"label": "none"}, called)]
    events = tmp_path / "events.ndjson"
    events.write_text("\n".join(map(json.dumps, lines)))
    assert read_answers(events) == ({}, 1)


def test_m1_no_reply_is_other_than_the_document_says(fuzzed):
    assert fuzzed.exit_status == 0, fuzzed.report


def test_m1_every_route_is_called(fuzzed):
    described = {f"{route.method} {route.path}" for route in ROUTES}
    assert described <= set(fuzzed.statuses)
    assert fuzzed.num_cases > 50 * len(described)


def test_m1_routes_are_called_with_what_they_serve(fuzzed):
    served = {
        f"{route.method} {route.path}": 200 in fuzzed.statuses[f"{route.method} {route.path}"]
        for route in ROUTES
        if not operation_of(route).is_retired
    }
    unserved = {name for name, is_served in served.items() if not is_served and "{" not in name}
    assert unserved <= NEEDS_A_PERSON | NEEDS_A_RECORDING
    with_ids = [is_served for name, is_served in served.items() if "{" in name]
    assert sum(with_ids) > LEAST_REACHED * len(with_ids), [name for name, is_served in served.items() if not is_served]


def test_m1_nothing_failed_in_the_server(fuzzed):
    assert not {status for statuses in fuzzed.statuses.values() for status in statuses if status >= 500}
