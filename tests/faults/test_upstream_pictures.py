"""Pictures for a model at an upstream: llama.cpp's own server with a projector, and nothing but pictures reaches any server."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest

from parley.core.picture import Detail, PictureSource
from parley.core.requests import ChatMessage, ChatPrompt, Inset
from parley.core.template import Role
from parley.core.upstream import UpstreamKind
from tests.builders_serving import chat, texts
from tests.builders_upstreams import chat_chunk, llama_server_command, saying, usage_chunk
from tests.builders_vision import LINES, png_of, write_sighted
from tests.faults.test_images import noise, parts, url_of
from tests.faults.test_upstreams import serving_on
from tests.faults.wire import get, post, records
from tests.live import LiveServer, free_port, running_server


def connect(server: LiveServer, name: str, port: int, *more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "parley.cli.main", "models", "connect", f"http://127.0.0.1:{port}/v1"]
    options = ["--name", name, "--kind", "llama-server", "--model", "m", "--context", "512", "--data", str(server.data)]
    return subprocess.run([*command, *options, *more], capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture(scope="module", name="server")
def _server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """`seer` is at llama.cpp's server with a projector; `blind` is said to be at another."""
    folder = tmp_path_factory.mktemp("upstream")
    files = write_sighted(folder, LINES)
    with running_server(folder, {"PARLEY_MAX_IMAGES": "3"}) as server:
        port = free_port()
        program = " ".join(llama_server_command(files.model, port, projector=files.projector))
        for done in (
            connect(server, "seer", port, "--vision", "--command", program),
            connect(server, "blind", port),
        ):
            assert done.returncode == 0, done.stderr
        yield server


@pytest.fixture(scope="module", name="client")
def _client(server: LiveServer) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=server.base_url, api_key=server.key, max_retries=0) as client:
        yield client


def ask(client: openai.OpenAI, *shown: object, model: str = "seer", **more: object):
    messages = [{"role": "user", "content": parts(*shown)}]
    asked = {"max_tokens": 3, "temperature": 0, "logprobs": True, "top_logprobs": 20, **more}
    return client.chat.completions.create(model=model, messages=messages, **asked)


def scores(reply) -> dict[str, float]:
    (first, *_) = reply.choices[0].logprobs.content
    return {str(top.bytes): round(top.logprob, 2) for top in first.top_logprobs}


def test_another_picture_is_another_prompt_and_the_server_counts_it(client: openai.OpenAI, server: LiveServer) -> None:
    first = ask(client, "what is ", 1)
    assert scores(first) == scores(ask(client, "what is ", 1))
    assert scores(first) != scores(ask(client, "what is ", 2))
    alone = ask(client, "what is ")
    assert first.usage.prompt_tokens > alone.usage.prompt_tokens
    assert not [record for record in records(server) if record["doubt"] == "disputed"]


@pytest.mark.parametrize("form", ["PNG", "JPEG", "GIF"])
def test_every_format_that_the_server_reads_is_seen(client: openai.OpenAI, form: str) -> None:
    blank = ask(client, "what is ").usage.prompt_tokens
    assert ask(client, "what is ", url_of(noise(3), form)).usage.prompt_tokens > blank


def test_the_model_list_tells_who_sees(server: LiveServer) -> None:
    listed = {each["id"]: each["capabilities"] for each in get(server, "/v1/models")[1]["data"]}
    assert ["vision" in listed[name] for name in ("seer", "blind")] == [True, False]


def test_a_model_that_is_not_said_to_see_is_refused_by_name(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        ask(client, "what is ", 1, model="blind")
    assert (refused.value.code, refused.value.param) == (
        "unsupported_parameter",
        "messages[0].content[1].image_url.url",
    )


def test_vision_and_a_vocabulary_exclude_each_other(server: LiveServer) -> None:
    model = Path(__file__).parents[2] / "src" / "parley" / "bundled" / "parley-mini.gguf"
    done = connect(server, "both", 9, "--vision", "--vocabulary", str(model))
    assert done.returncode != 0
    assert "exclude each other" in done.stderr


@pytest.mark.parametrize(
    ("shown", "code"),
    [
        (["data:image/png;base64,AAAA"], "invalid_image_format"),
        (["data:image/png;base64,!"], "invalid_base64"),
        ([f"data:image/png;base64,{png_of(13_300, 13_300).decode()}"], "invalid_image_size"),
        ([1, 2, 3, 4], "too_many_images"),
    ],
    ids=["no picture", "no base64", "a bomb", "too many"],
)
def test_g6_to_g9_what_is_no_picture_for_us_is_none_for_a_server(
    server: LiveServer, shown: list[object], code: str
) -> None:
    body = {"model": "seer", "messages": [{"role": "user", "content": parts(*shown)}]}
    status, reply = post(server, "/v1/chat/completions", body)
    assert (status, reply["error"]["code"]) == (400, code)


async def test_a_server_gets_the_file_as_it_was_sent_and_its_count_is_believed() -> None:
    encoded = png_of(9, 9).decode()
    source = PictureSource(encoded=encoded, detail=Detail.HIGH, param="p")
    message = ChatMessage(role=Role.USER, content="ab", pictures=(Inset(1, source),))
    said = saying(chat_chunk("a cat"), chat_chunk(finish="stop"), usage_chunk(900, 2))
    async with serving_on(said, kind=UpstreamKind.OPENAI, sees=True) as (bench, fake):
        events = await bench.run(chat("", prompts=(ChatPrompt(messages=(message,)),)))
        (received,) = fake.received
    assert texts(events) == {0: "a cat"}
    image = {"url": f"data:image/png;base64,{encoded}", "detail": "high"}
    assert received.body["messages"][0]["content"] == [
        {"type": "text", "text": "a"},
        {"type": "image_url", "image_url": image},
        {"type": "text", "text": "b"},
    ]
    (record,) = bench.sink.records
    assert (record.usage.input_tokens, record.doubt) == (900, None)
