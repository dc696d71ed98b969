"""Streams: the chunks of chat and of completions, as clients of 2023 and of today read them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types import Completion
from openai.types.chat import ChatCompletionChunk

from parley.api.openai.choices import CallForm
from parley.api.openai.frames import ChatFrames, CompletionFrames
from parley.api.openai.logprobs import CompletionScores
from parley.core.events import Delta, Finished, FinishReason, SequenceFinished
from tests.builders_wire import HEAD, USAGE, chunks, said, scored
from tests.golden import golden, written


def chat_stream(events, *, num_top=None, include_usage=False) -> bytes:
    frames = ChatFrames(HEAD, num_top=num_top, include_usage=include_usage, form=CallForm())
    return b"".join([frames(event) for event in [*events, Finished(USAGE)]])


def completion_stream(events, *, scores=None, include_usage=False) -> bytes:
    frames = CompletionFrames(HEAD, scores=scores, include_usage=include_usage)
    return b"".join([frames(event) for event in [*events, Finished(USAGE)]])


TOKENS = [Delta(0, " a", 1, (scored(" a", -0.5, (" a", -0.5), ("b", -2.0)),)), *said(" b")]
STREAMS = {
    "chat_stream": lambda: chat_stream(said("Hel", "lo")),
    "chat_stream_usage": lambda: chat_stream(said("Hello"), include_usage=True),
    "chat_stream_logprobs": lambda: chat_stream(TOKENS, num_top=1),
    "completion_stream": lambda: completion_stream(said("Hel", "lo")),
    "completion_stream_usage": lambda: completion_stream(said("Hello"), include_usage=True),
    "completion_stream_logprobs": lambda: completion_stream(TOKENS, scores=[CompletionScores(1, start=3)]),
}


@pytest.mark.parametrize("name", STREAMS)
def test_the_stream_is_the_golden_one(name):
    assert written(chunks(STREAMS[name]())) == golden(f"replies/{name}")


@pytest.mark.parametrize("name", [name for name in STREAMS if name.startswith("chat")])
def test_todays_client_reads_every_chat_chunk(name):
    for chunk in chunks(STREAMS[name]())[:-1]:
        ChatCompletionChunk.model_validate(chunk, strict=True)


@pytest.mark.parametrize("name", [name for name in STREAMS if name.startswith("completion")])
def test_todays_client_reads_every_completions_chunk(name):
    for chunk in chunks(STREAMS[name]())[:-1]:
        for choice in chunk["choices"]:
            # The client's type says that a reason is always there, of a stream as well; OpenAI sends null meanwhile.
            choice["finish_reason"] = choice["finish_reason"] or "stop"
        Completion.model_validate(chunk, strict=True)


def test_the_first_chunk_of_each_choice_says_the_role():
    stream = chunks(chat_stream([Delta(1, "b", 1), Delta(0, "a", 1), *said("c"), *said("d", sequence=1)]))
    deltas = [(chunk["choices"][0]["index"], chunk["choices"][0]["delta"]) for chunk in stream[:-1]]
    role = {"role": "assistant", "content": "", "refusal": None}
    assert [delta for delta in deltas if delta[1] == role] == [(1, role), (0, role)]
    assert deltas[:4] == [(1, role), (1, {"content": "b"}), (0, role), (0, {"content": "a"})]


def test_a_choice_that_says_nothing_still_has_its_role_and_its_end():
    stream = chunks(chat_stream([SequenceFinished(0, FinishReason.LENGTH)]))
    assert [chunk["choices"][0]["finish_reason"] for chunk in stream[:-1]] == [None, "length"]


def test_an_unfinished_character_sends_nothing():
    frames = ChatFrames(HEAD, num_top=None, include_usage=False, form=CallForm())
    frames(Delta(0, "a", 1))
    assert frames(Delta(0, "", 1)) == b""
    assert CompletionFrames(HEAD, scores=None, include_usage=False)(Delta(0, "", 1)) == b""


def test_the_tokens_of_an_unfinished_character_are_sent_with_empty_text():
    frames = ChatFrames(HEAD, num_top=0, include_usage=False, form=CallForm())
    (_, chunk) = chunks(frames(Delta(0, "", 1, (scored(b"\xe2\x80"),))))
    assert chunk["choices"][0]["delta"] == {"content": ""}
    assert chunk["choices"][0]["logprobs"]["content"][0]["bytes"] == [0xE2, 0x80]


@given(st.lists(st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=1)))
def test_any_text_arrives_as_it_was_also_at_clients_that_cut_at_every_line_end(texts):
    stream = chat_stream(said(*texts)) + completion_stream(said(*texts))
    lines = [line for line in stream.decode().splitlines() if line]
    assert all(line.startswith("data: ") for line in lines)
    said_in = [json.loads(line.removeprefix("data: ")) for line in lines if line != "data: [DONE]"]
    choices = [chunk["choices"][0] for chunk in said_in]
    assert "".join([choice["delta"].get("content", "") for choice in choices if "delta" in choice]) == "".join(texts)
    assert "".join([choice["text"] for choice in choices if "text" in choice]) == "".join(texts)


def test_usage_comes_in_a_chunk_without_choices_and_is_null_before():
    *before, usage, done = chunks(chat_stream(said("a"), include_usage=True))
    assert all(chunk["usage"] is None for chunk in before)
    assert usage["choices"] == []
    assert usage["usage"]["total_tokens"] == USAGE.input_tokens + USAGE.output_tokens
    assert done == "[DONE]"


def test_without_being_asked_for_there_is_no_usage():
    assert all("usage" not in chunk for chunk in chunks(chat_stream(said("a")))[:-1])


def test_text_offsets_go_on_from_chunk_to_chunk():
    scores = [CompletionScores(0, start=3)]
    events = [Delta(0, "ab", 1, (scored("ab"),)), Delta(0, "c", 1, (scored("c"),))]
    stream = chunks(completion_stream(events, scores=scores))
    assert [chunk["choices"][0]["logprobs"]["text_offset"] for chunk in stream[:2]] == [[3], [5]]
