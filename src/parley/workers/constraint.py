"""A grammar at work on one sequence: before each token it rules out those that could not go on within it."""

from collections.abc import Sequence

import llguidance
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

# How llguidance is told a special token: by a byte that stands in no text.
_SPECIAL = b"\xff"
# Where a grammar leaves one text only, any of its spellings in tokens is let through. Else llguidance would ask its tokenizer,
# which cuts into bytes: a model that must write letter by letter what it learned in words loses the thread.
_ANY_SPELLING = '%llguidance {"no_forcing": true}\n'


class GrammarRefused(Exception):
    """The grammar cannot be applied to this vocabulary."""


class Grammars:
    """Makes constraints for one vocabulary. What it prepares takes a moment, so it is made for the first grammar."""

    def __init__(self, pieces: Sequence[bytes], *, special: Sequence[int], ends: Sequence[int]) -> None:
        """`special` are the ids of control tokens, and those of them that end a text are `ends`."""
        self._pieces = pieces
        self._special = frozenset(special)
        self._ends = list(ends)
        self._tokenizer: llguidance.LLTokenizer | None = None

    def constraint(self, lark: str) -> "Constraint":
        """Raises GrammarRefused."""
        if not self._ends:
            raise GrammarRefused("a vocabulary without an end")
        if self._tokenizer is None:
            wrapped = llguidance.TokenizerWrapper(self._described())
            self._tokenizer = llguidance.LLTokenizer(wrapped, eos_token=self._ends)
        matcher = llguidance.LLMatcher(
            self._tokenizer, llguidance.LLMatcher.grammar_from_lark(_ANY_SPELLING + lark), log_level=0
        )
        if matcher.is_error():
            raise GrammarRefused(matcher.get_error())
        return Constraint(matcher)

    def _described(self) -> "_Vocabulary":
        tokens = [_SPECIAL + piece if t in self._special else piece for t, piece in enumerate(self._pieces)]
        return _Vocabulary(tokens, self._ends[0], sorted(self._special))


class _Vocabulary:
    """What llguidance asks of a tokenizer. Texts are cut into bytes, which is all that grammars need of it."""

    bos_token_id = None

    def __init__(self, tokens: list[bytes], end: int, special: list[int]) -> None:
        self.tokens = tokens
        self.eos_token_id = end
        self.special_token_ids = special
        self._ids = {token: t for t, token in enumerate(tokens) if len(token) == 1}

    def __call__(self, text: bytes) -> list[int]:
        return [self._ids[byte] for byte in (bytes((number,)) for number in text) if byte in self._ids]


class Constraint:
    """The grammar's state in one sequence."""

    def __init__(self, matcher: "llguidance.LLMatcher") -> None:
        self._matcher = matcher

    @property
    def is_over(self) -> bool:
        """Whether nothing can follow, not even an end."""
        return bool(self._matcher.is_stopped())

    def bend(self, row: Floats) -> None:
        """Rule out, in place, what cannot follow."""
        allowed = np.frombuffer(self._matcher.compute_bitmask(), dtype=np.uint8)
        row[np.unpackbits(allowed, count=len(row), bitorder="little") == 0] = -np.inf

    def accept(self, token_id: int) -> None:
        """A token was chosen."""
        self._matcher.consume_token(token_id)
