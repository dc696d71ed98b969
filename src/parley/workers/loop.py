"""The batching loop: many sequences on one model, one step after another, and between two steps whatever was asked.

A step either takes the next token of every running sequence or reads a portion of the prompts that wait, in turns, so that a
long prompt holds up the running sequences by a portion and no more.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from parley.core.channel import Header
from parley.core.requests import SequenceRequest
from parley.core.round_messages import Entry, step_header
from parley.workers.cells import Cells, Numbers
from parley.workers.choice import best_of, log_probabilities
from parley.workers.context import Context, Floats
from parley.workers.sequence import RunningSequence
from parley.workers.slots import WORTH_COPYING, Placement, Slots, shared_length

Ints = npt.NDArray[np.int32]
Say = Callable[[Mapping[str, object], bytes], None]

# Logits of a prompt that are looked at in one step, in numbers of 4 bytes.
_MAX_LOGITS = 16 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Scoring:
    """Scores of a prompt under way, a row for each token after the first; `following` are those tokens."""

    question: Header
    following: Numbers
    num_top: int
    is_withdrawn: Callable[[], bool]
    own: list[Floats] = field(default_factory=list)
    top_ids: list[Ints] = field(default_factory=list)
    top: list[Floats] = field(default_factory=list)

    def add(self, rows: Floats, start: int) -> None:
        """The logits at some positions from `start` on."""
        logs = log_probabilities(rows)
        best = best_of(logs, self.num_top)
        self.own.append(logs[np.arange(len(logs)), self.following[start : start + len(logs)]])
        self.top_ids.append(best)
        self.top.append(np.take_along_axis(logs, best.astype(np.int64), axis=1))

    def packed(self) -> bytes:
        return b"".join(part.tobytes() for parts in (self.own, self.top_ids, self.top) for part in parts)


@dataclass(slots=True, kw_only=True)
class Reading:
    """A prompt on its way through the model: for sequences that will continue it, or for its scores."""

    prompt: Cells
    salt: str = ""
    sequences: list[RunningSequence] = field(default_factory=list)
    scoring: Scoring | None = None
    # Its own slot first, then one for each further sequence; none as long as it waits.
    slots: list[int] = field(default_factory=list)
    num_cached: int = 0
    num_read: int = 0

    @property
    def num_left(self) -> int:
        return len(self.prompt) - self.num_read


class Loop:
    """Owns the sequences of one context. `turn` it while `has_work`; everything else is done between two turns."""

    def __init__(self, context: Context, say: Say) -> None:
        self._context = context
        self._say = say
        self._slots = Slots(context.shape.num_sequences)
        self._waiting: deque[Reading] = deque()
        # The one prompt that is read in part.
        self._unfinished: Reading | None = None
        self._running: list[RunningSequence] = []
        self._is_prompts_turn = False

    @property
    def has_work(self) -> bool:
        return bool(self._running or self._unfinished or self._waiting)

    def start(self, request: SequenceRequest, prompt: Cells, sequences: list[RunningSequence]) -> None:
        """Run sequences of a round as soon as there are slots for them. Raises ValueError for what can never run."""
        shape = self._context.shape
        if not 1 <= len(sequences) <= shape.num_sequences:
            raise ValueError(f"{len(sequences)} sequences in one round")
        if request.max_tokens < 1 or len(prompt) + request.max_tokens > shape.sequence_tokens:
            raise ValueError(f"{len(prompt)} tokens and {request.max_tokens} more are too many for a slot")
        self._check(prompt)
        self._waiting.append(Reading(prompt=prompt, salt=request.cache_salt, sequences=sequences))

    def score(self, prompt: Sequence[int], num_top: int, question: Header, is_withdrawn: Callable[[], bool]) -> None:
        """Answer `question` with the scores of a prompt, unless it is withdrawn. Raises ValueError."""
        whole = Cells(prompt)
        self._check(whole)
        if len(whole) > self._context.shape.sequence_tokens:
            raise ValueError(f"{len(whole)} tokens are too many for a slot")
        ids = whole.numbers
        scoring = Scoring(question=question, following=ids[1:], num_top=num_top, is_withdrawn=is_withdrawn)
        if len(ids) == 1:
            self._say({"id": question["id"]}, b"")
            return
        self._waiting.append(Reading(prompt=Cells(ids[:-1]), scoring=scoring))

    def end(self, round_number: int) -> None:
        """Drop a round, wherever it is; an unknown one is no error."""
        self._drop(lambda reading: any(each.round_number == round_number for each in reading.sequences))
        for sequence in [each for each in self._running if each.round_number == round_number]:
            self._finish(sequence)

    def busy(self) -> list[int]:
        """For every slot in use, the tokens that were generated in it."""
        reading = [0] * (len(self._unfinished.slots) if self._unfinished else 0)
        return reading + [len(sequence.tokens) for sequence in self._running]

    def turn(self) -> None:
        """One step, and one message of what came of it: running sequences and waiting prompts in turns."""
        self._drop(lambda reading: reading.scoring is not None and reading.scoring.is_withdrawn())
        if self._running and not (self._is_prompts_turn and self._can_read()):
            self._decode()
            self._is_prompts_turn = True
        elif self._can_read():
            self._read()
            self._is_prompts_turn = False

    def _check(self, prompt: Cells) -> None:
        if not len(prompt):
            raise ValueError("an empty prompt")
        context = self._context
        prompt.check(num_tokens=context.num_tokens, row_width=context.row_width, most_rows=context.shape.step_rows)

    def _can_read(self) -> bool:
        return self._unfinished is not None or (
            bool(self._waiting) and max(1, len(self._waiting[0].sequences)) <= self._slots.num_free
        )

    def _decode(self) -> None:
        """The next token of every running sequence."""
        running = self._running
        self._context.add_last(
            [s.slot for s in running], [s.position for s in running], [s.tokens[-1] for s in running]
        )
        rows = self._context.decode()
        self._tell([sequence.advance(row) for sequence, row in zip(running, rows, strict=True)], [])
        for sequence in [each for each in self._running if each.is_finished]:
            self._finish(sequence)

    def _read(self) -> None:
        """A portion of the prompts."""
        portions = self._portions()
        rows = self._read_step(portions)
        told: list[tuple[Entry, bytes]] = []
        begun: list[tuple[int, int]] = []
        for reading, count in portions:
            start, reading.num_read = reading.num_read, reading.num_read + count
            if start == reading.num_cached and reading.scoring is None:
                begun.append((reading.sequences[0].round_number, reading.num_cached))
            if reading.scoring is not None:
                # What was read to be scored is nobody's beginning.
                reading.scoring.add(rows, start)
            else:
                self._slots.hold(reading.slots[0], reading.prompt.numbers[: reading.num_read])
            if reading.num_left:
                self._unfinished = reading
            elif reading.scoring is not None:
                self._slots.release(reading.slots[0])
                self._say({"id": reading.scoring.question["id"]}, reading.scoring.packed())
            else:
                told += self._begin(reading, rows[0])
                rows = rows[1:]
        self._tell(told, begun)

    def _read_step(self, portions: list[tuple[Reading, int]]) -> Floats:
        """Logits of what a step reads: of every token for scores, of the last where a prompt comes to its end."""
        for reading, count in portions:
            prompt, start = reading.prompt, reading.num_read
            is_whole = start + count == len(prompt)
            rows = prompt.rows(start, count)
            if rows is not None:
                # It stands alone in its step.
                return self._context.decode_rows(reading.slots[0], rows.embedded, rows.places, is_last=is_whole)
            first_output = 0 if reading.scoring else count - is_whole
            ids = prompt.numbers[start : start + count]
            self._context.add(reading.slots[0], prompt.position(start), ids, first_output=first_output)
        return self._context.decode()

    def _portions(self) -> list[tuple[Reading, int]]:
        """What the next step reads, and how much of each: the unfinished prompt, then waiting ones that fit whole."""
        portions: list[tuple[Reading, int]] = []
        room = self._context.shape.batch_tokens
        reading, self._unfinished = self._unfinished, None
        while room and (reading := reading or self._next(portions, room)) is not None:
            limit = max(1, _MAX_LOGITS // self._context.num_tokens) if reading.scoring else room
            count = reading.prompt.portion_length(reading.num_read, min(room, limit))
            portions.append((reading, count))
            # Only one prompt is ever read in part, and rows of pictures stand in no step with others.
            room = 0 if reading.scoring or count < reading.num_left else room - count
            reading = None
        return portions

    def _next(self, portions: list[tuple[Reading, int]], room: int) -> Reading | None:
        """The next waiting prompt, with its slots, if it should be read in the same step as `portions`."""
        if not self._waiting:
            return None
        reading = self._waiting[0]
        if max(1, len(reading.sequences)) > self._slots.num_free or (portions and reading.scoring):
            return None
        if portions and reading.prompt.has_pictures:
            return None
        placement = self._slots.place(reading.prompt.numbers, reading.salt)
        # What is shared ends before or behind a picture.
        placement = replace(placement, num_shared=reading.prompt.whole(placement.num_shared))
        if reading.scoring:
            # Every position's logits are wanted, so all of it is read.
            placement = replace(placement, source=placement.slot, num_shared=0)
        if portions and len(reading.prompt) - placement.num_shared > room:
            return None
        # What this step reads can be copied after it.
        numbers = reading.prompt.numbers
        promised = [shared_length(r.prompt.numbers, numbers) for r, _ in portions if r.salt == reading.salt]
        if max(promised, default=0) >= placement.num_shared + WORTH_COPYING:
            return None
        self._waiting.popleft()
        self._give_slots(reading, placement)
        return reading

    def _give_slots(self, reading: Reading, placement: Placement) -> None:
        if placement.source != placement.slot:
            self._context.copy(placement.source, placement.slot)
        if not self._context.forget(placement.slot, reading.prompt.position(placement.num_shared)):
            self._context.forget(placement.slot, 0)
            placement = replace(placement, source=placement.slot, num_shared=0)
        self._slots.take(placement, reading.salt)
        reading.num_read = reading.num_cached = placement.num_shared
        reading.slots = [placement.slot, *(self._slots.take_empty(reading.salt) for _ in reading.sequences[1:])]

    def _begin(self, reading: Reading, row: Floats) -> list[tuple[Entry, bytes]]:
        """The first token of every sequence, once their prompt is read."""
        told = []
        first, *others = reading.slots
        for slot in others:
            self._context.copy(first, slot)
            self._slots.hold(slot, reading.prompt.numbers)
        # Each changes the row that it gets.
        rows = np.repeat(row[None], len(reading.sequences), axis=0)
        for sequence, slot, own in zip(reading.sequences, reading.slots, rows, strict=True):
            sequence.slot, sequence.num_positions = slot, reading.prompt.num_positions
            self._running.append(sequence)
            told.append(sequence.advance(own))
            if sequence.is_finished:
                self._finish(sequence)
        # Neighbours in memory stand side by side, which is what one step over all of them needs.
        self._running.sort(key=lambda sequence: sequence.slot)
        return told

    def _tell(self, told: list[tuple[Entry, bytes]], begun: list[tuple[int, int]]) -> None:
        """A message for every step, also an empty one: it is a sign of life."""
        self._say(step_header([entry for entry, _ in told], begun), b"".join(scores for _, scores in told))

    def _finish(self, sequence: RunningSequence) -> None:
        self._running.remove(sequence)
        # Its last token was never read.
        self._slots.release(sequence.slot, sequence.read_tokens(), sequence.salt)

    def _drop(self, is_unwanted: Callable[[Reading], bool]) -> None:
        """Forget prompts that wait or are being read."""
        self._waiting = deque(reading for reading in self._waiting if not is_unwanted(reading))
        reading = self._unfinished
        if reading is None or not is_unwanted(reading):
            return
        self._unfinished = None
        first, *others = reading.slots
        # A prompt that was read for its scores may be anybody's.
        num_kept = 0 if reading.scoring else reading.num_read
        self._slots.release(first, reading.prompt.numbers[:num_kept], reading.salt)
        for slot in others:
            self._slots.release(slot)
