"""Programs that know nothing but HTTP: the curl lines of the documentation of 2023, and `requests`."""

import ast
import json
import shutil
from typing import Any

import pytest

from tests.live import LiveServer
from tests.tutorials.programs import lines, output_of, program

CHAT = """
curl -s $OPENAI_API_BASE/chat/completions \\
  -H "Content-Type: application/json" \\
  -H "Authorization: Bearer $OPENAI_API_KEY" \\
  -d '{"model": "gpt-3.5-turbo", "messages": [{"role": "user", "content": "What is the OpenAI mission?"}]}'
"""
CONVERSATION = """
curl -s $OPENAI_API_BASE/chat/completions \\
  -H "Content-Type: application/json" \\
  -H "Authorization: Bearer $OPENAI_API_KEY" \\
  -d '{
    "model": "gpt-3.5-turbo",
    "messages": [
      {"role": "system", "content": "You translate English to French."},
      {"role": "user", "content": "Hello"},
      {"role": "assistant", "content": "Bonjour"},
      {"role": "user", "content": "Thank you"}
    ],
    "max_tokens": 16
  }'
"""
COMPLETION = """
curl -s $OPENAI_API_BASE/completions \\
  -H "Content-Type: application/json" \\
  -H "Authorization: Bearer $OPENAI_API_KEY" \\
  -d '{"model": "text-davinci-003", "prompt": "Say this is a test", "temperature": 0, "max_tokens": 7}'
"""
ENGINE = """
curl -s $OPENAI_API_BASE/engines/davinci/completions -H "Content-Type: application/json" \\
  -u :$OPENAI_API_KEY -d '{"prompt": "Once upon a time", "max_tokens": 5}'
"""
MODELS = 'curl -s $OPENAI_API_BASE/models -H "Authorization: Bearer $OPENAI_API_KEY"'
MODEL = 'curl -s $OPENAI_API_BASE/models/text-davinci-003 -H "Authorization: Bearer $OPENAI_API_KEY"'
ENGINES = 'curl -s $OPENAI_API_BASE/engines -H "Authorization: Bearer $OPENAI_API_KEY"'
STREAM = """
curl -sN $OPENAI_API_BASE/completions -H "Content-Type: application/json" -H "Authorization: Bearer $OPENAI_API_KEY" \\
  -d '{"model": "text-davinci-003", "prompt": "One two", "max_tokens": 6, "temperature": 0, "stream": true}'
"""
WITHOUT_KEY = 'curl -s $OPENAI_API_BASE/chat/completions -H "Content-Type: application/json" -d "{}"'
WITHOUT_TYPE = """
curl -s $OPENAI_API_BASE/completions -H "Authorization: Bearer $OPENAI_API_KEY" \\
  -d '{"model": "text-davinci-003", "prompt": "Hello"}'
"""


def shell(line: str, server: LiveServer) -> str:
    assert shutil.which("curl"), "curl is missing: apt-get install curl"
    return output_of(["sh", "-c", line], server)


def reply_to(line: str, server: LiveServer) -> dict[str, Any]:
    reply: dict[str, Any] = json.loads(shell(line, server))
    return reply


@pytest.mark.parametrize("line", [CHAT, CONVERSATION], ids=["one message", "several turns"])
def test_the_curl_line_of_a_chat_is_answered(live_server: LiveServer, line: str) -> None:
    reply = reply_to(line, live_server)
    assert set(reply) >= {"id", "object", "created", "model", "usage", "choices"}
    assert reply["object"] == "chat.completion"
    assert reply["choices"][0]["message"]["role"] == "assistant"
    assert isinstance(reply["choices"][0]["message"]["content"], str)


@pytest.mark.parametrize("line", [COMPLETION, ENGINE], ids=["by model", "by engine, key as the password"])
def test_the_curl_line_of_a_completion_is_answered(live_server: LiveServer, line: str) -> None:
    reply = reply_to(line, live_server)
    assert reply["object"] == "text_completion"
    assert isinstance(reply["choices"][0]["text"], str)
    assert 0 <= reply["usage"]["completion_tokens"] <= 7


def test_the_curl_lines_of_models_show_their_permissions(live_server: LiveServer) -> None:
    listed = reply_to(MODELS, live_server)
    assert listed["object"] == "list"
    for model in listed["data"]:
        assert set(model) >= {"id", "object", "created", "owned_by", "permission", "root", "parent"}
    assert reply_to(MODEL, live_server)["id"] == "text-davinci-003"
    assert {engine["object"] for engine in reply_to(ENGINES, live_server)["data"]} == {"engine"}


def test_curl_shows_the_stream_as_it_is_on_the_wire(live_server: LiveServer) -> None:
    events = [event for event in shell(STREAM, live_server).split("\n\n") if event.strip()]
    assert all(event.startswith("data: ") for event in events)
    assert events[-1].strip() == "data: [DONE]"
    chunks = [json.loads(event.removeprefix("data: ")) for event in events[:-1]]
    assert {chunk["object"] for chunk in chunks} == {"text_completion"}
    assert len({chunk["id"] for chunk in chunks}) == 1
    assert chunks[-1]["choices"][0]["finish_reason"] in {"stop", "length"}


def test_curl_without_a_key_is_told_how_to_send_one(live_server: LiveServer) -> None:
    error = reply_to(WITHOUT_KEY, live_server)["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["message"].startswith("You didn't provide an API key.")


def test_curl_without_a_content_type_is_told_which_one_to_send(live_server: LiveServer) -> None:
    error = reply_to(WITHOUT_TYPE, live_server)["error"]
    assert error["code"] == "unsupported_content_type"
    assert "application/x-www-form-urlencoded" in error["message"]


def test_requests_gets_an_answer(live_server: LiveServer) -> None:
    said = lines(program("requests_chat", live_server))
    assert "answer" in said


def test_requests_reads_the_event_stream(live_server: LiveServer) -> None:
    said = lines(program("requests_stream", live_server))
    assert said["type"].startswith("text/event-stream")
    assert said["done"] == "True"
    assert isinstance(ast.literal_eval(said["text"]), str)
