"""F9 on the running product: schemas that bombs are made of are refused by name, and nothing else notices."""

import json

import pytest

from tests.engines.test_grammar_check import BOMBS, LARGE
from tests.faults.wire import post
from tests.live import LiveServer, engine_pid

CHAT = "/v1/chat/completions"


def ask(server: LiveServer, **fields: object) -> tuple[int, dict]:
    body = {"model": "gpt-4", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 4, **fields}
    return post(server, CHAT, body)


def response_format(schema: object) -> dict:
    return {"type": "json_schema", "json_schema": {"name": "bomb", "schema": schema}}


@pytest.mark.parametrize("name", BOMBS)
def test_f9_a_schema_bomb_is_refused_by_name_in_every_place(live_server: LiveServer, name: str) -> None:
    engine, schema = engine_pid(live_server), BOMBS[name]
    status, reply = ask(live_server, response_format=response_format(schema))
    assert (status, reply["error"]["param"]) == (400, "response_format")
    function = {"name": "f", "parameters": schema, "strict": True}
    status, reply = ask(live_server, tools=[{"type": "function", "function": function}])
    assert (status, reply["error"]["param"]) == (400, "tools[0].function.parameters")
    assert ask(live_server, response_format={"type": "json_object"})[0] == 200
    assert engine_pid(live_server) == engine


@pytest.mark.parametrize("name", LARGE)
def test_f9_a_schema_that_only_looks_large_is_served_or_refused(live_server: LiveServer, name: str) -> None:
    engine = engine_pid(live_server)
    status, reply = ask(live_server, response_format=response_format(LARGE[name]))
    assert status in (200, 400), reply
    assert engine_pid(live_server) == engine


def test_f9_128_large_tools_are_served_or_refused_together(live_server: LiveServer) -> None:
    properties = {f"property_{i}": {"enum": [f"value_{i}_{j}" for j in range(8)]} for i in range(10)}
    tools = [
        {"type": "function", "function": {"name": f"f{i}", "parameters": {"type": "object", "properties": properties}}}
        for i in range(128)
    ]
    engine = engine_pid(live_server)
    status, reply = ask(live_server, tools=tools)
    assert status == 400
    assert reply["error"]["code"] == "context_length_exceeded"
    assert engine_pid(live_server) == engine


@pytest.mark.parametrize(
    "field", ["grammar", "guided_json", "guided_regex", "json_schema", "structured_outputs", "regex"]
)
def test_f10_engines_own_fields_for_grammars_are_unknown(live_server: LiveServer, field: str) -> None:
    status, reply = ask(live_server, **{field: json.dumps({"type": "object"})})
    assert status == 400
    assert field in reply["error"]["message"]


@pytest.mark.parametrize("field", ["chat_template", "chat_template_kwargs", "prompt_embeds", "cache_salt"])
def test_f11_nobody_brings_a_template_of_his_own(live_server: LiveServer, field: str) -> None:
    status, reply = ask(live_server, **{field: "x"})
    assert status == 400
    assert field in reply["error"]["message"]
