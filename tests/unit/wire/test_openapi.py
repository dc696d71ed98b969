"""The OpenAPI document: valid, complete, and true to what the server reads."""

from typing import Any

import msgspec
import pytest
from openapi_spec_validator import validate

from parley.api.call import Access
from parley.api.openapi import OPERATIONS, OpenapiPage, openapi_document
from parley.api.routes import route_table
from parley.api.routing import Route
from tests.builders_routes import always_ready
from tests.builders_wire import Asked, call_handler


class NoPage:
    content_security_policy = ""
    body = b""

    def render(self, base_url: str, entries: Any) -> bytes:
        return b""


ROUTES = route_table(is_ready=always_ready, page=NoPage(), door=NoPage()).routes


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return openapi_document(ROUTES, version="0.1.0")


def test_the_document_is_valid(document):
    validate(document)


def test_every_route_is_in_it(document):
    described = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    assert described == {(route.method, route.path) for route in ROUTES}


def test_operation_names_are_unique(document):
    names = [operation["operationId"] for methods in document["paths"].values() for operation in methods.values()]
    assert len(names) == len(set(names))


def test_every_route_with_a_key_has_its_handler_described():
    assert {route.handler for route in ROUTES if route.access is not Access.PUBLIC} <= set(OPERATIONS)


def test_only_public_routes_go_without_a_key(document):
    open_routes = {
        (method.upper(), path)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if operation.get("security") == []
    }
    assert open_routes == {(route.method, route.path) for route in ROUTES if route.access is Access.PUBLIC}


def test_every_operation_says_what_its_errors_look_like(document):
    for methods in document["paths"].values():
        for operation in methods.values():
            failures = [reply for status, reply in operation["responses"].items() if status[0] in "45"]
            assert failures
            for reply in failures:
                assert reply["content"]["application/json"]["schema"]["$ref"].endswith("/ErrorResponse")


def parameters(document, method: str, path: str) -> dict[str, Any]:
    return {each["name"]: each for each in document["paths"][path][method]["parameters"] if each["in"] == "query"}


def test_lists_and_sums_say_what_can_be_asked_in_the_query(document):
    page = parameters(document, "get", "/v1/organization/users")
    assert page["limit"]["schema"] == {"type": "integer", "minimum": 1, "maximum": 100, "default": 20}
    sums = parameters(document, "get", "/v1/organization/usage/completions")
    assert [name for name, each in sums.items() if each["required"]] == ["start_time"]
    assert sums["bucket_width"]["schema"]["enum"] == ["1m", "1h", "1d"]
    assert sums["group_by"]["schema"]["items"]["enum"] == [
        *("project_id", "user_id", "api_key_id", "model", "batch", "service_tier"),
    ]
    audit = parameters(document, "get", "/v1/organization/audit_logs/export")
    assert {"effective_at[gt]", "format", "after"} <= set(audit)


def test_each_route_names_its_own_failures(document):
    """No wildcards: a client that is made from the document knows what to expect."""
    for methods in document["paths"].values():
        for operation in methods.values():
            assert all(status.isdecimal() for status in operation["responses"])
    assert "413" in document["paths"]["/v1/completions"]["post"]["responses"]
    assert "401" not in document["paths"]["/health"]["get"]["responses"]


def test_a_stream_is_described_event_by_event(document):
    reply = document["paths"]["/v1/chat/completions"]["post"]["responses"]["200"]["content"]["text/event-stream"]
    done, chunk = reply["schema"]["properties"]["data"]["anyOf"]
    assert done == {"const": "[DONE]"}
    names = [each["$ref"].rpartition("/")[2] for each in chunk["contentSchema"]["anyOf"]]
    assert names == ["CreateChatCompletionStreamResponse", "ErrorResponse"]


def test_request_schemas_have_the_bounds_that_are_enforced(document):
    chat = document["components"]["schemas"]["CreateChatCompletionRequest"]
    assert chat["additionalProperties"] is False
    assert chat["required"] == ["model", "messages"]
    temperature = chat["properties"]["temperature"]["anyOf"][0]
    assert (temperature["minimum"], temperature["maximum"]) == (0, 2)


async def test_the_page_reads_its_routes_when_it_is_asked():
    routes: list[Route] = []
    page = OpenapiPage(routes)
    routes.append(Route(method="GET", path="/openapi.json", handler=page, access=Access.PUBLIC))
    reply = await call_handler(page, Asked())
    assert list(msgspec.json.decode(reply.body)["paths"]) == ["/openapi.json"]
