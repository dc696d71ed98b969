"""One sequence in the loop: its tokens so far, and what of them may be told."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from parley.core.assembler import TextAssembler
from parley.core.events import FinishReason
from parley.core.requests import SequenceRequest
from parley.core.round_messages import Entry
from parley.workers.choice import Chooser, best_of, log_probabilities
from parley.workers.constraint import Constraint

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """What a vocabulary says of its tokens. `written` is what a token adds to a text, the texts of markers included."""

    num_tokens: int
    is_end: Callable[[int], bool]
    written: Callable[[int], bytes]


class RunningSequence:
    """Continues one prompt, in a slot that is given to it when the prompt was read."""

    def __init__(
        self, number: int, index: int, request: SequenceRequest, words: Words, constraint: Constraint | None
    ) -> None:
        sampling = request.sampling
        self.round_number = number
        self.slot = -1
        # How many positions its prompt takes; that and the slot are set when the prompt was read.
        self.num_positions = len(request.prompt)
        self.salt = request.cache_salt
        self.is_finished = False
        self._prompt = request.prompt
        self.tokens: list[int] = []
        self._index = index
        self._max_tokens = request.max_tokens
        self._words = words
        self._constraint = constraint
        self._chooser = Chooser(sampling, index=index, num_tokens=words.num_tokens)
        self._assembler = TextAssembler(sampling.stop)
        self._num_top = sampling.logprobs
        # Where the tokens begin whose scores were not shown yet: those of a stop string never are.
        self._held: deque[int] = deque()
        self._num_written = 0
        self._num_sent = 0

    @property
    def position(self) -> int:
        """Where its last token will be read."""
        return self.num_positions + len(self.tokens) - 1

    def read_tokens(self) -> npt.NDArray[np.int64]:
        """What its slot's memory holds: all but the last token."""
        return np.array((*self._prompt, *self.tokens[:-1]), dtype=np.int64)

    def advance(self, row: Floats) -> tuple[Entry, bytes]:
        """Choose the next token by a row of logits, which is changed, and say what is to be told of it."""
        logs = None if self._num_top is None else log_probabilities(row)
        # The grammar first: biases then know what they must leave.
        if self._constraint is not None:
            self._constraint.bend(row)
        self._chooser.bend(row)
        token_id = self._chooser.choose(row)
        self.tokens.append(token_id)
        scores = b"" if logs is None else _packed(logs, token_id, self._num_top or 0)
        if self._words.is_end(token_id):
            self.is_finished = True
            text = self._assembler.flush()
            return self._entry(text, len(self._held), FinishReason.STOP), scores
        if self._constraint is not None:
            self._constraint.accept(token_id)
        piece = self._words.written(token_id)
        text = self._assembler.push(piece)
        end = self._end()
        self.is_finished = end is not None
        if self.is_finished:
            text += self._assembler.flush()
        num_shown = 0
        if logs is not None:
            self._held.append(self._num_written)
            num_shown = self._show(text, is_all=self.is_finished and not self._assembler.is_stopped)
        self._num_written += len(piece)
        return self._entry(text, num_shown, end), scores

    def _entry(self, text: str, num_shown: int, end: FinishReason | None) -> Entry:
        return Entry(self.round_number, self._index, text, self.tokens[-1], self._num_top, num_shown, end)

    def _end(self) -> FinishReason | None:
        if self._assembler.is_stopped or (self._constraint is not None and self._constraint.is_over):
            return FinishReason.STOP
        return FinishReason.LENGTH if len(self.tokens) == self._max_tokens else None

    def _show(self, text: str, *, is_all: bool) -> int:
        """How many of the held scores belong to what was sent by now: those of tokens that begin inside it."""
        self._num_sent += len(text.encode())
        count = 0
        while self._held and (is_all or self._held[0] < self._num_sent):
            self._held.popleft()
            count += 1
        return count


def _packed(logs: Floats, token_id: int, num_top: int) -> bytes:
    """A token's own log-probability, the ids of the best and theirs."""
    top_ids = best_of(logs[None], num_top)[0]
    parts = (logs[[token_id]], top_ids, logs[top_ids])
    return b"".join(part.tobytes() for part in parts)
