"""The prompts by which shared beginnings are measured share what they say they share, and nothing else."""

import itertools

from bench import prefix
from bench.__main__ import SHIPPED
from bench.text import Prompts


def prompts_of(bodies: list[dict[str, object]]) -> list[list[int]]:
    prompts = [body["prompt"] for body in bodies]
    assert all(isinstance(prompt, list) for prompt in prompts)
    return prompts  # type: ignore[return-value]


def test_each_turn_of_a_conversation_begins_with_all_of_the_turn_before() -> None:
    prompts = prompts_of(prefix.conversation_bodies(Prompts(SHIPPED)))
    assert len(prompts) == prefix.NUM_CONVERSATIONS * prefix.NUM_TURNS
    for number in range(prefix.NUM_CONVERSATIONS):
        turns = prompts[number :: prefix.NUM_CONVERSATIONS]
        for before, turn in itertools.pairwise(turns):
            assert turn[: len(before)] == before
            assert len(turn) == len(before) + prefix.TURN_TOKENS
    assert len({tuple(prompt[:20]) for prompt in prompts}) == prefix.NUM_CONVERSATIONS


def test_users_share_their_system_prompt_and_ask_different_questions() -> None:
    prompts = prompts_of(prefix.shared_bodies(Prompts(SHIPPED)))
    assert len({tuple(prompt[: prefix.SYSTEM_TOKENS]) for prompt in prompts}) == 1
    assert len({tuple(prompt[prefix.SYSTEM_TOKENS :]) for prompt in prompts}) == prefix.NUM_USERS
