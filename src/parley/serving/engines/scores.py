"""A prompt's scores out of what the llama.cpp worker answers, or out of a forced generation."""

import array
from collections.abc import Sequence

from parley.core.events import Alternative, ScoredToken

_ITEM_BYTES = 4


def read_scores(raw: bytes, prompt: Sequence[int], num_top: int) -> list[ScoredToken]:
    """The worker's arrays (see `workers.llama`) as scored tokens; the first has no log-probability."""
    num_scored = len(prompt) - 1
    reader = _Reader(raw)
    own = reader.numbers(num_scored)
    top_ids, top = reader.ids(num_scored * num_top), reader.numbers(num_scored * num_top)
    (num_pieces,) = reader.ids(1)
    occurring, lengths = reader.ids(num_pieces), reader.ids(num_pieces)
    pieces = {token_id: reader.bytes(length) for token_id, length in zip(occurring, lengths, strict=True)}
    scored = [ScoredToken(prompt[0], pieces[prompt[0]], None)]
    for row, token_id in enumerate(prompt[1:]):
        places = range(row * num_top, (row + 1) * num_top)
        best = tuple(Alternative(top_ids[i], pieces[top_ids[i]], top[i]) for i in places)
        scored.append(ScoredToken(token_id, pieces[token_id], own[row], best))
    return scored


class _Reader:
    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._position = 0

    def bytes(self, length: int) -> bytes:
        start, self._position = self._position, self._position + length
        return self._raw[start : self._position]

    def numbers(self, count: int) -> "array.array[float]":
        values = array.array("f")
        values.frombytes(self.bytes(count * _ITEM_BYTES))
        return values

    def ids(self, count: int) -> "array.array[int]":
        values = array.array("i")
        values.frombytes(self.bytes(count * _ITEM_BYTES))
        return values
