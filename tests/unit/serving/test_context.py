"""What fits the window: in the served model's tokens, and as programs count that have OpenAI's tokenizer."""

from dataclasses import replace

import pytest
from msgspec import structs

from parley.core.errors import ContextLengthExceeded
from parley.core.grant import PreparedPrompt
from parley.core.requests import ChatMessage, ChatPrompt, Prompt, Role, TextPrompt
from parley.core.snapshot import Snapshot
from parley.serving.admission.context import resolve_max_tokens
from tests.builders_serving import ECHO_WEIGHTS, completion, make_snapshot

PROMISED, SERVED = 4097, 8192
STAND_IN = replace(
    make_snapshot(context=PROMISED, weights=replace(ECHO_WEIGHTS, context_length=SERVED)), is_stand_in=True
)
PINNED = replace(STAND_IN, is_stand_in=False)
# 2,400 bytes: at OpenAI 600 tokens, in a vocabulary of small words twice as many.
TEXT = "The quick brown fox wins" * 100
OPENAI_TOKENS, OUR_TOKENS = 600, 1200


def resolved(prompt: Prompt, max_tokens: int | None, num_prompt: int, snapshot: Snapshot = STAND_IN) -> int:
    prepared = PreparedPrompt(token_ids=(1,) * num_prompt)
    return resolve_max_tokens(
        structs.replace(completion("x"), prompts=(prompt,), max_tokens=max_tokens), 0, prepared, snapshot
    )


def chat(text: str) -> ChatPrompt:
    return ChatPrompt(messages=(ChatMessage(role=Role.USER, content=text),))


@pytest.mark.parametrize("prompt", [TextPrompt(text=TEXT), chat(TEXT)])
def test_a_program_that_fills_the_window_by_openais_count_is_served(prompt):
    # A chat takes seven tokens more at OpenAI.
    wanted = PROMISED - OPENAI_TOKENS - 7
    assert OUR_TOKENS + wanted > PROMISED
    assert resolved(prompt, wanted, OUR_TOKENS) == wanted


@pytest.mark.parametrize("prompt", [TextPrompt(text="hi"), chat("hi")])
def test_what_openai_would_refuse_is_refused(prompt):
    with pytest.raises(ContextLengthExceeded, match="maximum context length is 4097 tokens"):
        resolved(prompt, PROMISED, 2)


def test_a_prompt_of_token_ids_is_counted_as_it_is():
    with pytest.raises(ContextLengthExceeded):
        resolved(TextPrompt(token_ids=(1,) * OUR_TOKENS), PROMISED - OPENAI_TOKENS, OUR_TOKENS)


def test_a_name_that_stands_for_its_own_weights_keeps_to_their_count():
    with pytest.raises(ContextLengthExceeded):
        resolved(TextPrompt(text=TEXT), PROMISED - OPENAI_TOKENS, OUR_TOKENS, PINNED)


def test_the_weights_own_window_is_never_overrun():
    most = SERVED - 5_000
    assert resolved(TextPrompt(text=TEXT), most, 5_000) == most
    with pytest.raises(ContextLengthExceeded):
        resolved(TextPrompt(text=TEXT), most + 1, 5_000)
    tight = replace(STAND_IN, weights=replace(ECHO_WEIGHTS, context_length=PROMISED))
    with pytest.raises(ContextLengthExceeded):
        resolved(TextPrompt(text=TEXT), PROMISED - OPENAI_TOKENS, OUR_TOKENS, tight)


def test_a_chat_without_a_bound_may_go_to_the_end_of_either_window():
    fewest = 6 + len(TEXT) // 6
    assert resolved(chat(TEXT), None, OUR_TOKENS) == PROMISED - fewest
    assert resolved(chat(TEXT), None, 5_000) == SERVED - 5_000
