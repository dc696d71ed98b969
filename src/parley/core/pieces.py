"""The bytes of every token of one vocabulary, as a worker sends them and as its client keeps them."""

import array
import itertools
from collections.abc import Iterable, Sequence


def pack_pieces(pieces: Sequence[bytes]) -> bytes:
    """The pieces' lengths as 32-bit integers, then the pieces one after another."""
    return array.array("I", map(len, pieces)).tobytes() + b"".join(pieces)


class Pieces:
    """Looked up by token id. One block of memory, whatever the vocabulary's size."""

    def __init__(self, packed: bytes, *, count: int, silent: Iterable[int] = ()) -> None:
        """`silent` are the ids of control tokens: they have a text, and write none of it."""
        lengths = array.array("I")
        self._start = count * lengths.itemsize
        lengths.frombytes(packed[: self._start])
        self._packed = packed
        self._ends = array.array("Q", itertools.accumulate(lengths, initial=self._start))
        self._silent = frozenset(silent)
        if self._ends[-1] != len(packed):
            raise ValueError("the pieces do not fill their lengths")

    def __len__(self) -> int:
        return len(self._ends) - 1

    def piece(self, token_id: int) -> bytes:
        """The token's bytes, a special token by its text. Raises IndexError outside the vocabulary."""
        if token_id < 0:
            raise IndexError(token_id)
        return self._packed[self._ends[token_id] : self._ends[token_id + 1]]

    def written(self, token_id: int) -> bytes:
        """What the token adds to a text: nothing, if it is a control token."""
        return b"" if token_id in self._silent else self.piece(token_id)
