"""Row M4, our clients' half: text with every character that breaks parsers reaches them as it was, wherever its bytes are cut.

The echo engine answers with the prompt, one byte for each token, so that every character of several bytes is cut inside.
"""

import http.client
import json
from collections.abc import Callable

import pytest
from openai import OpenAI
from openai._streaming import SSEDecoder

from tests.live import LiveServer
from tests.sse_standard import parse

MODEL = "parley-echo"
NASTY = {
    "line ends": "a\nb\r\nc\rd\n\ne\r\n\r\nf\r\rg",
    "line ends of Unicode": "a\u2028b\u2029c\u0085d\x0be\x0cf\x1cg\x1dh\x1ei",
    "fields": "data: x\n\ndata: [DONE]\n\nevent: error\nid: 1\nretry: 1\n: comment\n\n",
    "controls": "a\x00b\x01c\x07d\x08e\x1bf\x7fg\x80h",
    "escapes": '\\ud800 \\u0000 \\n \\" \\\\ " \' / </script> ]]> {{ }} %s',
    "outside the basic plane": "🦊👩‍👩‍👧\U0010ffff\U0001f1e9\U0001f1ea",
    "marks": "\ufeffa\u200bb\u200fc\u202ed\ufffde\uffff",
    "combining": "e\u0301" + "\u0300" * 50 + "각",
}


def post(server: LiveServer, path: str, body: bytes) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(server.host, server.port, timeout=60)
    try:
        connection.request("POST", path, body, {**server.headers, "content-type": "application/json"})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def raw_stream(server: LiveServer, path: str, body: dict[str, object]) -> bytes:
    status, stream = post(server, path, json.dumps({"model": MODEL, "stream": True, **body}).encode())
    assert status == 200
    return stream


def chat(text: str) -> tuple[str, dict[str, object]]:
    return "/v1/chat/completions", {"messages": [{"role": "user", "content": text}]}


def completion(text: str) -> tuple[str, dict[str, object]]:
    return "/v1/completions", {"prompt": text, "max_tokens": 4 * len(text)}


def text_of(events: list[str]) -> str:
    """The text in the chunks of a stream that was whole."""
    assert events[-1] == "[DONE]"
    choices = [choice for event in events[:-1] for choice in json.loads(event)["choices"]]
    return "".join(choice["text"] if "text" in choice else choice["delta"].get("content", "") for choice in choices)


def line_by_line(stream: bytes) -> list[str]:
    """What many programs do: any line end that Python knows, and each line an event."""
    return [line.removeprefix("data: ") for line in stream.decode().splitlines() if line]


def todays_decoder(stream: bytes) -> list[str]:
    return [event.data for event in SSEDecoder().iter_bytes(iter([stream]))]


@pytest.mark.parametrize("name", NASTY)
@pytest.mark.parametrize("request_of", [chat, completion])
@pytest.mark.parametrize("parser", [parse, line_by_line, todays_decoder])
def test_m4_every_parser_reads_the_text_as_it_was(
    live_server, name: str, request_of: Callable[..., tuple[str, dict[str, object]]], parser
):
    assert text_of(parser(raw_stream(live_server, *request_of(NASTY[name])))) == NASTY[name]


def test_m4_todays_client_reads_the_text_at_every_cut(live_server):
    text = "data:\n\n\u2028🦊"
    stream = raw_stream(live_server, *chat(text))
    for cut in range(len(stream)):
        events = SSEDecoder().iter_bytes(iter([stream[:cut], stream[cut:]]))
        assert text_of([event.data for event in events]) == text


@pytest.mark.parametrize("name", NASTY)
def test_m4_todays_client_has_the_text_streamed_and_whole(live_server, name: str):
    text = NASTY[name]
    client = OpenAI(base_url=live_server.base_url, api_key=live_server.key, max_retries=0)
    messages = [{"role": "user", "content": text}]
    with client.chat.completions.create(model=MODEL, messages=messages, stream=True) as stream:
        assert "".join(chunk.choices[0].delta.content or "" for chunk in stream) == text
    whole = client.chat.completions.create(model=MODEL, messages=messages)
    assert whole.choices[0].message.content == text


def test_m4_half_a_character_is_refused_and_not_repeated(live_server):
    body = b'{"model":"parley-echo","messages":[{"role":"user","content":"\\ud800"}],"stream":true}'
    status, reply = post(live_server, "/v1/chat/completions", body)
    assert status == 400
    assert json.loads(reply)["error"]["type"] == "invalid_request_error"
