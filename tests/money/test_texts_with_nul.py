"""A NUL in what a client sends: PostgreSQL keeps none in a text, and answers as SQLite does all the same."""

import pytest
from msgspec import inspect

from parley.api.platform.schemas import requests
from tests.builders_accounts import town

HOUSE = "/v1/organization"
CHAT = {"model": "echo-1", "messages": [{"role": "user", "content": "hello\0"}], "max_tokens": 4}


@pytest.fixture(name="town")
async def _town(place, tmp_path):
    database = {"database_url": place} if isinstance(place, str) else {}
    async with town(tmp_path, **database) as opened:
        yield opened


async def test_a_path_with_one_is_unknown(town):
    project = f"{HOUSE}/projects/{await town.project_id()}"
    for method, path in [
        ("GET", f"{HOUSE}/users/%00"),
        ("POST", f"{HOUSE}/users/a%00"),
        ("GET", f"{HOUSE}/projects/%00"),
        ("GET", f"{project}/api_keys/%00b"),
        ("DELETE", f"{project}/api_keys/%00"),
        ("POST", "/v1/organizations/%00/credits"),
        ("GET", "/v1/models/%00"),
    ]:
        reply = await town.call(method, path)
        assert reply.status_code == 404, path
        assert reply.json()["error"]["message"].startswith("Invalid URL")


async def test_a_query_with_one_is_refused(town):
    for path in [
        f"{HOUSE}/users?after=%00",
        f"{HOUSE}/audit_logs?before=a%00",
        f"{HOUSE}/audit_logs/export?actor_emails=%00",
        f"{HOUSE}/usage/completions?start_time=0&project_ids=a,%00",
        f"{HOUSE}/costs?start_time=0&%00=1",
    ]:
        reply = await town.call("GET", path)
        assert (reply.status_code, reply.json()["error"]["type"]) == (400, "invalid_request_error"), path
        assert "%00" in reply.json()["error"]["message"]


async def test_a_body_with_one_is_refused_by_the_name_of_its_field(town):
    organization, project = (await town.ok("GET", HOUSE))["id"], await town.project_id()
    invite = {"email": "a@example.org", "role": "viewer"}
    for path, body, param in [
        (f"{HOUSE}/projects/{project}/users", {"user_id": "\0", "role": "member"}, "user_id"),
        (f"{HOUSE}/invites", invite | {"projects": [{"id": "\0", "role": "viewer"}]}, "projects[0].id"),
        (f"{HOUSE}/projects/{project}/api_keys", {"name": "a", "models": ["a", "b\0"]}, "models[1]"),
        (f"/v1/organizations/{organization}/credits", {"amount_usd": 1, "note": "a\0"}, "note"),
        (f"{HOUSE}/projects", {"name": "\0"}, "name"),
        ("/v1/account/log_in", {"email": "a@example.org\0", "password": "b"}, "email"),
    ]:
        reply = await town.call("POST", path, body)
        assert (reply.status_code, reply.json()["error"]["param"]) == (400, param)


def test_no_text_of_the_platforms_bodies_may_have_one():
    wire_types = [
        each for each in vars(requests).values() if isinstance(each, type) and each.__module__ == requests.__name__
    ]
    assert len(wire_types) > 15
    texts = [text for wire_type in wire_types for text in texts_in(inspect.type_info(wire_type))]
    assert len(texts) > 20
    assert {text.pattern for text in texts} == {r"^[^\x00]*$"}


def texts_in(found):
    match found:
        case inspect.StrType():
            return [found]
        case inspect.UnionType():
            return [text for each in found.types for text in texts_in(each)]
        case inspect.ListType():
            return texts_in(found.item_type)
        case inspect.StructType():
            return [text for field in found.fields for text in texts_in(field.type)]
        case inspect.DictType():
            raise AssertionError("an object's names are texts too")
    return []


async def test_a_models_request_with_them_is_answered_and_recorded(town):
    """Whatever a client may choose of what is kept with a request, and of what it claims."""
    chat = CHAT | {"user": "u\0", "metadata": {"k\0": "v\0"}, "safety_identifier": "s\0", "prompt_cache_key": "p\0"}
    first, again = [
        await town.call("POST", "/v1/chat/completions", chat, idempotency_key="order-1", user_agent="agent")
        for _ in range(2)
    ]
    assert (first.status_code, again.headers.get("idempotent-replayed")) == (200, "true")
    assert again.json() == first.json()
    [record] = await town.records.usage.list_records()
    assert (record.user, record.requested_model) == ("u\ufffd", "echo-1")
    assert dict(record.metadata) == {"k\0": "v\0", "safety_identifier": "s\0"}


async def test_a_models_request_whose_model_or_claim_has_one_is_refused_and_leaves_no_record(town):
    unknown = await town.call("POST", "/v1/chat/completions", CHAT | {"model": "echo-1\0"}, idempotency_key="order-1")
    assert unknown.status_code == 404
    claim = await town.call("POST", "/v1/chat/completions", CHAT, idempotency_key="order\0")
    assert (claim.status_code, claim.json()["error"]["code"]) == (400, "invalid_idempotency_key")
    assert await town.records.usage.list_records() == []
