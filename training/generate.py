"""Greedy answers of a model in PyTorch, many at once: the quick way to score while training."""

import torch
from torch import Tensor

from training.model import KeyValueCache, Llama

_MASKED = float("-inf")


@torch.no_grad()
def greedy(model: Llama, prompts: list[list[int]], end: frozenset[int], max_tokens: int) -> list[list[int]]:
    """The continuation of each prompt, without its end token; one that never ends has `max_tokens` ids.

    Rows are padded on the left, and the padding is masked away, so that every row's last place is its last token.
    """
    device = model.embedding.weight.device
    longest = max(map(len, prompts))
    ids = torch.tensor([[0] * (longest - len(prompt)) + prompt for prompt in prompts], device=device)
    padding = torch.tensor([longest - len(prompt) for prompt in prompts], device=device)
    positions = (torch.arange(longest, device=device)[None] - padding[:, None]).clamp(min=0)
    is_seen = torch.arange(longest, device=device)[None] >= padding[:, None]
    causal = torch.ones(longest, longest, dtype=torch.bool, device=device).tril()
    # A padded place sees itself, or its softmax would be empty.
    own = torch.eye(longest, dtype=torch.bool, device=device)
    cache = KeyValueCache(model.shape.num_layers)
    hidden = model(ids, positions, _as_bias((causal[None] & is_seen[:, None]) | own[None]), cache)
    answers: list[list[int]] = [[] for _ in prompts]
    is_done = [False] * len(prompts)
    next_positions = positions[:, -1:] + 1
    for _ in range(max_tokens):
        chosen = model.logits(hidden[:, -1]).argmax(dim=-1)
        for row, token in enumerate(chosen.tolist()):
            is_done[row] = is_done[row] or token in end
            if not is_done[row]:
                answers[row].append(token)
        if all(is_done):
            break
        is_seen = torch.cat([is_seen, torch.ones(len(prompts), 1, dtype=torch.bool, device=device)], dim=1)
        hidden = model(chosen[:, None], next_positions, _as_bias(is_seen[:, None]), cache)
        next_positions = next_positions + 1
    return answers


def _as_bias(is_visible: Tensor) -> Tensor:
    bias = torch.zeros(is_visible.shape, device=is_visible.device)
    return bias.masked_fill(~is_visible, _MASKED).unsqueeze(1)
