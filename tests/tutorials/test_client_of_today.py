"""The newest official client: every call, every parameter, streams, raw replies and error classes."""

import asyncio
from collections.abc import Iterator

import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from openai.types.chat import ChatCompletionMessageParam

from tests.live import LiveServer

HELLO: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Say hello to the world."}]
CHAT = "gpt-3.5-turbo"
TEXT = "text-davinci-003"


@pytest.fixture(scope="module")
def client(live_server: LiveServer) -> Iterator[OpenAI]:
    with OpenAI(api_key=live_server.key, base_url=live_server.base_url, max_retries=0) as client:
        yield client


def test_a_chat_completion_is_answered_and_its_tokens_add_up(client: OpenAI) -> None:
    reply = client.chat.completions.create(model=CHAT, messages=HELLO, max_tokens=12)
    assert reply.object == "chat.completion"
    assert reply.model == "gpt-3.5-turbo-0301"
    assert reply.choices[0].message.role == "assistant"
    assert reply.choices[0].message.content is not None
    assert reply.usage is not None
    assert 0 <= reply.usage.completion_tokens <= 12
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens


def test_the_request_id_is_on_the_reply(client: OpenAI) -> None:
    reply = client.chat.completions.create(model=CHAT, messages=HELLO, max_tokens=1)
    assert reply._request_id is not None
    assert reply._request_id.startswith("req_")


def test_greedy_answers_are_the_same_streamed_and_whole(client: OpenAI) -> None:
    whole = client.chat.completions.create(model=CHAT, messages=HELLO, max_tokens=16, temperature=0)
    pieces = client.chat.completions.create(model=CHAT, messages=HELLO, max_tokens=16, temperature=0, stream=True)
    chunks = list(pieces)
    assert {chunk.object for chunk in chunks} == {"chat.completion.chunk"}
    assert len({chunk.id for chunk in chunks}) == 1
    assert chunks[0].choices[0].delta.role == "assistant"
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert text == whole.choices[0].message.content
    assert chunks[-1].choices[0].finish_reason == whole.choices[0].finish_reason


def test_a_stream_reports_its_usage_when_asked(client: OpenAI) -> None:
    whole = client.chat.completions.create(model=CHAT, messages=HELLO, max_tokens=9, temperature=0)
    chunks = list(
        client.chat.completions.create(
            model=CHAT,
            messages=HELLO,
            max_tokens=9,
            temperature=0,
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert whole.usage is not None
    assert chunks[-1].usage.completion_tokens == whole.usage.completion_tokens
    assert chunks[-1].usage.prompt_tokens == whole.usage.prompt_tokens
    assert all(chunk.usage is None for chunk in chunks[:-1])


def test_the_stream_helper_gives_the_final_completion(client: OpenAI) -> None:
    with client.chat.completions.stream(model=CHAT, messages=HELLO, max_tokens=60, temperature=0) as stream:
        said = "".join(event.delta for event in stream if event.type == "content.delta")
        final = stream.get_final_completion()
    assert final.choices[0].message.content == said
    assert said


def test_a_stream_may_be_left_early(client: OpenAI) -> None:
    with client.completions.create(model=TEXT, prompt="Count:", max_tokens=200, stream=True) as stream:
        first = next(iter(stream))
    assert first.object == "text_completion"
    assert client.completions.create(model=TEXT, prompt="Again:", max_tokens=1).choices


def test_raw_replies_show_the_headers(client: OpenAI) -> None:
    raw = client.chat.completions.with_raw_response.create(model=CHAT, messages=HELLO, max_tokens=2)
    assert raw.headers["x-request-id"].startswith("req_")
    assert float(raw.headers["openai-processing-ms"]) >= 0
    assert raw.headers["openai-version"] == "2020-10-01"
    assert raw.headers["openai-organization"]
    assert raw.headers["x-parley-model"]
    assert raw.headers["content-type"] == "application/json"
    assert raw.parse().choices[0].message.content is not None


def test_a_streaming_reply_is_read_line_by_line(client: OpenAI) -> None:
    with client.completions.with_streaming_response.create(
        model=TEXT, prompt="One two", max_tokens=4, stream=True
    ) as reply:
        assert reply.headers["content-type"].startswith("text/event-stream")
        lines = [line for line in reply.iter_lines() if line]
    assert lines[-1] == "data: [DONE]"


@pytest.mark.parametrize(
    "parameters",
    [
        {"temperature": 0},
        {"temperature": 2, "top_p": 0.1},
        {"n": 3},
        {"stop": "the"},
        {"stop": ["the", "a", "\n", "."]},
        {"presence_penalty": 2, "frequency_penalty": -2},
        {"logit_bias": {"5": -100, "6": 10}},
        {"seed": 7, "temperature": 1},
        {"user": "user-1234"},
        {"logprobs": True},
        {"logprobs": True, "top_logprobs": 5},
        {"metadata": {"purpose": "test"}, "safety_identifier": "hash"},
        {"store": False, "service_tier": "auto", "modalities": ["text"]},
        {"response_format": {"type": "text"}},
        {"prompt_cache_key": "bucket"},
    ],
    ids=" ".join,
)
def test_every_chat_parameter_is_taken(client: OpenAI, parameters: dict[str, object]) -> None:
    reply = client.chat.completions.create(model=CHAT, messages=HELLO, max_completion_tokens=6, **parameters)
    assert [choice.index for choice in reply.choices] == list(range(int(str(parameters.get("n", 1)))))


def test_chat_log_probabilities_come_with_their_alternatives(client: OpenAI) -> None:
    reply = client.chat.completions.create(
        model=CHAT, messages=HELLO, max_tokens=5, temperature=0, logprobs=True, top_logprobs=3
    )
    assert reply.choices[0].logprobs is not None
    content = reply.choices[0].logprobs.content
    assert content
    for token in content:
        assert token.logprob <= 0
        assert len(token.top_logprobs) == 3
        assert token.top_logprobs[0].logprob == pytest.approx(token.logprob, abs=1e-3)


def test_the_same_seed_gives_the_same_answer(client: OpenAI) -> None:
    texts = {
        client.chat.completions.create(model=CHAT, messages=HELLO, max_tokens=12, temperature=1.5, seed=11)
        .choices[0]
        .message.content
        for _ in range(3)
    }
    assert len(texts) == 1


def test_a_stop_string_is_not_returned(client: OpenAI) -> None:
    whole = client.completions.create(model=TEXT, prompt="The", max_tokens=20, temperature=0).choices[0].text
    middle = whole[len(whole) // 2 :][:2]
    cut = client.completions.create(model=TEXT, prompt="The", max_tokens=20, temperature=0, stop=middle).choices[0]
    assert cut.finish_reason == "stop"
    assert cut.text == whole[: whole.index(middle)]


def test_content_may_come_in_parts(client: OpenAI) -> None:
    messages: list[ChatCompletionMessageParam] = [
        {"role": "developer", "content": "Be brief."},
        {
            "role": "user",
            "name": "ann",
            "content": [{"type": "text", "text": "Hello"}, {"type": "text", "text": " you"}],
        },
    ]
    assert client.chat.completions.create(model=CHAT, messages=messages, max_tokens=3).choices


def test_echo_scores_the_prompt(client: OpenAI) -> None:
    reply = client.completions.create(model=TEXT, prompt="The sky is blue", max_tokens=0, echo=True, logprobs=2)
    [choice] = reply.choices
    assert choice.text == "The sky is blue"
    assert choice.logprobs is not None
    assert choice.logprobs.tokens is not None
    assert choice.logprobs.token_logprobs is not None
    assert choice.logprobs.text_offset is not None
    assert "".join(choice.logprobs.tokens) == "The sky is blue"
    assert choice.logprobs.token_logprobs[0] is None
    assert all(logprob <= 0 for logprob in choice.logprobs.token_logprobs[1:])
    assert choice.logprobs.text_offset[0] == 0
    assert reply.usage is not None
    assert reply.usage.completion_tokens == 0


def test_prompts_come_as_text_lists_and_token_ids(client: OpenAI) -> None:
    for prompt, num_choices in (("One", 1), (["One", "Two"], 2), ([40, 41, 42], 1), ([[40, 41], [42]], 2)):
        reply = client.completions.create(model=TEXT, prompt=prompt, max_tokens=2)
        assert [choice.index for choice in reply.choices] == list(range(num_choices))


def test_best_of_returns_the_best_and_counts_them_all(client: OpenAI) -> None:
    reply = client.completions.create(model=TEXT, prompt="Hello", best_of=4, n=2, max_tokens=5, temperature=1)
    assert [choice.index for choice in reply.choices] == [0, 1]
    assert reply.usage is not None
    assert reply.usage.completion_tokens > 5


def test_a_suffix_is_filled_in(client: OpenAI) -> None:
    reply = client.completions.create(model=TEXT, prompt="The cat", suffix=" on the mat.", max_tokens=4, temperature=0)
    assert reply.choices[0].finish_reason in {"stop", "length"}
    plain = client.completions.create(model=TEXT, prompt="The cat", max_tokens=4, temperature=0)
    assert reply.usage is not None
    assert plain.usage is not None
    assert reply.usage.prompt_tokens > plain.usage.prompt_tokens


def test_models_are_listed_and_retrieved(client: OpenAI) -> None:
    names = {model.id for model in client.models.list()}
    assert names >= {"gpt-4", "gpt-4o", "gpt-4o-mini", "gpt-4.1", "gpt-4.1-mini", CHAT, TEXT}
    assert client.models.retrieve("gpt-4o-mini").id == "gpt-4o-mini"


async def test_the_asynchronous_client_runs_calls_side_by_side(live_server: LiveServer) -> None:
    async with AsyncOpenAI(api_key=live_server.key, base_url=live_server.base_url, max_retries=0) as client:
        replies = await asyncio.gather(
            *(client.chat.completions.create(model=CHAT, messages=HELLO, max_tokens=4) for _ in range(6))
        )
        assert len({reply.id for reply in replies}) == 6
        text = ""
        async for chunk in await client.completions.create(model=TEXT, prompt="A", max_tokens=4, stream=True):
            text += chunk.choices[0].text
        assert isinstance(text, str)


@pytest.mark.parametrize("key", ["sk-wrong-key-0123456789", "short"])
def test_a_wrong_key_is_an_authentication_error(live_server: LiveServer, key: str) -> None:
    with OpenAI(api_key=key, base_url=live_server.base_url, max_retries=0) as client:
        with pytest.raises(openai.AuthenticationError) as refusal:
            client.models.list()
    assert refusal.value.code == "invalid_api_key"
    assert key not in refusal.value.message


def test_an_unknown_model_is_not_found(client: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as refusal:
        client.chat.completions.create(model="gpt-nonesuch", messages=HELLO)
    assert refusal.value.code == "model_not_found"
    assert refusal.value.request_id is not None
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("gpt-nonesuch")


@pytest.mark.parametrize(
    ("parameters", "param", "code"),
    [
        ({"n": 129}, "n", "integer_above_max_value"),
        ({"n": 0}, "n", "integer_below_min_value"),
        ({"temperature": 2.1}, "temperature", "decimal_above_max_value"),
        ({"temperature": -0.1}, "temperature", "decimal_below_min_value"),
        ({"max_tokens": "ten"}, "max_tokens", "invalid_type"),
        ({"max_tokens": 2.5}, "max_tokens", "invalid_type"),
        ({"messages": "hello"}, "messages", "invalid_type"),
        ({"stop": ["a", "b", "c", "d", "e"]}, "stop", "array_above_max_length"),
        ({"messages": [{"content": "no role"}]}, "messages[0].role", "missing_required_parameter"),
        ({"extra_body": {"top_k": 5}}, None, None),
        ({"top_logprobs": 21, "logprobs": True}, "top_logprobs", "integer_above_max_value"),
        ({"messages": [{"role": "user", "content": "word " * 30_000}]}, "messages", "context_length_exceeded"),
        ({"web_search_options": {}}, "web_search_options", "unsupported_parameter"),
        ({"reasoning_effort": "high"}, "reasoning_effort", "unsupported_parameter"),
    ],
)
def test_a_bad_value_is_a_bad_request_that_names_it(
    client: OpenAI, parameters: dict[str, object], param: str | None, code: str | None
) -> None:
    with pytest.raises(openai.BadRequestError) as refusal:
        client.chat.completions.create(**({"model": CHAT, "messages": HELLO} | parameters))
    assert (refusal.value.param, refusal.value.code) == (param, code)
    assert refusal.value.type == "invalid_request_error"


def test_an_unknown_path_is_not_found(client: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError):
        client.post("/chat/completion", cast_to=object, body={})


def test_a_server_that_is_not_there_is_a_connection_error() -> None:
    with OpenAI(api_key="sk-none", base_url="http://127.0.0.1:1/v1", max_retries=0) as client:
        with pytest.raises(openai.APIConnectionError):
            client.models.list()


def test_an_answer_that_takes_too_long_is_a_timeout(client: OpenAI) -> None:
    with pytest.raises(openai.APITimeoutError):
        client.chat.completions.create(model=CHAT, messages=HELLO, max_tokens=2000, n=8, timeout=0.001)
