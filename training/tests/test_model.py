"""The model by itself: attention, cache, greedy answers."""

import pytest
import torch
from torch.nn import functional

from training.generate import greedy
from training.model import KeyValueCache, attend
from training.tests.builders import small_model

VOCABULARY = 50


@pytest.mark.parametrize("length", [1, 7, 130])
def test_plain_attention_equals_the_fused_one(length: int) -> None:
    torch.manual_seed(0)
    query, key, value = (torch.randn(2, 3, length, 16) for _ in range(3))
    fused = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
    torch.testing.assert_close(attend(query, key, value, None), fused, rtol=1e-4, atol=1e-5)


def test_reading_token_by_token_gives_the_same_states_as_reading_at_once() -> None:
    model = small_model(VOCABULARY)
    ids = torch.randint(0, VOCABULARY, (2, 9))
    positions = torch.arange(9).expand(2, 9)
    with torch.no_grad():
        whole = model(ids, positions)
        cache = KeyValueCache(model.shape.num_layers)
        steps = []
        for place in range(9):
            seen = torch.zeros(2, 1, 1, place + 1)
            steps.append(model(ids[:, place : place + 1], positions[:, place : place + 1], seen, cache))
    torch.testing.assert_close(torch.cat(steps, dim=1), whole, rtol=1e-3, atol=1e-4)


def test_later_tokens_do_not_change_earlier_states() -> None:
    model = small_model(VOCABULARY)
    ids = torch.randint(0, VOCABULARY, (1, 8))
    changed = ids.clone()
    changed[0, -1] = (changed[0, -1] + 1) % VOCABULARY
    positions = torch.arange(8)[None]
    with torch.no_grad():
        torch.testing.assert_close(model(ids, positions)[:, :-1], model(changed, positions)[:, :-1])


def test_answers_do_not_depend_on_what_else_is_in_the_batch() -> None:
    model = small_model(VOCABULARY)
    prompts = [[3, 4, 5], [7] * 12, [9, 1, 9, 1, 2, 2, 30]]
    together = greedy(model, prompts, frozenset({0}), 10)
    assert together == [greedy(model, [prompt], frozenset({0}), 10)[0] for prompt in prompts]


def test_an_answer_stops_at_an_end_token() -> None:
    model = small_model(VOCABULARY)
    (free,) = greedy(model, [[3, 4, 5]], frozenset(), 12)
    (stopped,) = greedy(model, [[3, 4, 5]], frozenset({free[4]}), 12)
    assert len(free) == 12
    assert stopped == free[: free.index(free[4])]
