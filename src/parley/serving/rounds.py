"""Which rounds a request needs: a round is one prompt's sequences, as many as may run at once."""

from msgspec import Struct


class Round(Struct, frozen=True, kw_only=True):
    """Sequences `first_sequence` .. `first_sequence + num_sequences - 1` of prompt `prompt_index`."""

    prompt_index: int
    first_sequence: int
    num_sequences: int


def plan_rounds(*, num_prompts: int, num_sequences: int, widest: int) -> list[Round]:
    """All rounds, prompt by prompt; each prompt gets `num_sequences` sequences, at most `widest` in one round."""
    return [
        Round(prompt_index=prompt_index, first_sequence=first, num_sequences=min(widest, num_sequences - first))
        for prompt_index in range(num_prompts)
        for first in range(0, num_sequences, widest)
    ]
