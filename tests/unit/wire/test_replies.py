"""Replies that are not streamed: the same bytes however long they are, and the long ones made where nobody waits for them."""

import threading

import msgspec
import pytest

from parley.api.openai import chat, completions
from parley.api.openai.replies import reply_of
from parley.core.events import Delta, Finished, FinishReason, SequenceFinished
from parley.core.requests import ChatMessage, ChatPrompt, GenerationRequest, Sampling, TextPrompt
from parley.core.template import Role
from tests.builders_wire import HEAD, USAGE, scored


def answer(tokens_each: int, *, num_choices: int, num_top: int) -> list:
    """Events of a reply with so many scored tokens in each choice."""
    top = [("b", -1.0 - k) for k in range(num_top)]
    token = scored("a", -0.5, *top)
    deltas = [Delta(k, "a" * tokens_each, tokens_each, (token,) * tokens_each) for k in range(num_choices)]
    ends = [SequenceFinished(k, FinishReason.LENGTH) for k in range(num_choices)]
    return [*deltas, *ends, Finished(USAGE)]


def request(prompt, *, n: int, num_top: int) -> GenerationRequest:
    sampling = Sampling(logprobs=num_top)
    return GenerationRequest(
        model="m", endpoint="/v1", prompts=(prompt,), sampling=sampling, max_tokens=None, n=n, best_of=n
    )


CHAT = ChatPrompt(messages=(ChatMessage(role=Role.USER, content="Hello"),))


@pytest.mark.parametrize(("tokens_each", "is_long"), [(3, False), (400, True)])
@pytest.mark.parametrize(("endpoint", "prompt"), [(chat, CHAT), (completions, TextPrompt(text="a"))])
async def test_a_long_reply_is_made_off_the_loop_with_the_same_bytes(endpoint, prompt, tokens_each, is_long):
    asked, events = request(prompt, n=3, num_top=2), answer(tokens_each, num_choices=3, num_top=2)
    threads = []

    def to_wire():
        threads.append(threading.current_thread())
        return endpoint.to_wire(HEAD, asked, events)

    reply = await reply_of(events, to_wire, {})
    assert reply.body == msgspec.json.encode(endpoint.to_wire(HEAD, asked, events))
    assert (threads[0] is not threading.main_thread()) == is_long


async def test_a_reply_of_many_short_events_is_long():
    events = [*[Delta(0, "a", 1) for _ in range(5_000)], SequenceFinished(0, FinishReason.STOP), Finished(USAGE)]
    threads = []

    def to_wire():
        threads.append(threading.current_thread())
        return chat.to_wire(HEAD, request(CHAT, n=1, num_top=0), events)

    await reply_of(events, to_wire, {})
    assert threads[0] is not threading.main_thread()
