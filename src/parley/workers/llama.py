"""The llama.cpp worker: our batching loop over the C API of the library.

    python -m parley.workers.confine '<limits>' parley.workers.llama '<options as JSON>'

It says `failed`, or `ready` with the vocabulary's pieces (raw). Then it takes `rows`, `start` and `end` of rounds and
says `taken` at each start, a `step` after each step, or `refused` with a round (`core.round_messages`). It answers two questions. `score` (raw: the
prompt's ids, 32-bit integers) by raw arrays of 32 bits: own log-probabilities, ids of the best, theirs. `slots` by `busy`:
for every slot in use, the tokens that were generated in it.
"""

import json
import sys
from collections.abc import Callable
from functools import cached_property
from pathlib import Path

import numpy as np

from parley.core.channel import Header
from parley.core.llama_library import Unsupported, library_path
from parley.core.pieces import Pieces, pack_pieces
from parley.core.requests import SequenceRequest
from parley.core.round_messages import read_ids, read_start
from parley.workers.cells import Cells, Floats
from parley.workers.constraint import Constraint, GrammarRefused, Grammars
from parley.workers.context import Context
from parley.workers.libllama import ATTRIBUTE_CONTROL, ATTRIBUTE_USER_DEFINED, ContextShape, LibLlama
from parley.workers.loop import Loop
from parley.workers.sequence import RunningSequence, Words
from parley.workers.voice import Voice


class Worker:
    """The loaded model, and what is asked of it."""

    def __init__(self, library: LibLlama, context: Context, voice: Voice) -> None:
        self._library = library
        self._vocabulary = context.vocabulary
        self._voice = voice
        texts = library.pieces(context.vocabulary)
        self.packed = pack_pieces(texts)
        self.silent = library.silent_ids(context.vocabulary, texts)
        self._pieces = Pieces(self.packed, count=len(texts), silent=self.silent)
        self._ends = frozenset(t for t in range(len(texts)) if library.api.llama_vocab_is_eog(context.vocabulary, t))
        self._row_width = context.row_width
        # By round, the rows of pictures that came before its start.
        self._rows: dict[int, list[bytes]] = {}
        self.loop = Loop(context, voice.say)

    @property
    def num_tokens(self) -> int:
        return len(self._pieces)

    def run(self) -> None:
        """Until nobody needs this process, which then ends."""
        while True:
            # Everything that was asked, then a step; without work, sleep until something is asked.
            while (asked := self._voice.next_question(timeout_seconds=0.0 if self.loop.has_work else None)) is not None:
                self._obey(*asked)
            self.loop.turn()

    def _obey(self, question: Header, raw: bytes) -> None:
        try:
            match question["op"]:
                case "rows":
                    self._rows.setdefault(int(str(question["round"])), []).append(raw)
                case "start":
                    # First of all: if this process dies of it, it is known to have had it.
                    self._voice.say({"event": "taken", "round": question["round"]})
                    number, request, spans = read_start(question, raw)
                    prompt = Cells(request.prompt, spans, self._embedded(number))
                    self.loop.start(request, prompt, self._sequences(number, request))
                case "end":
                    number = int(str(question["round"]))
                    self._rows.pop(number, None)
                    self.loop.end(number)
                case "score":
                    num_top = int(str(question["num_top"]))
                    self.loop.score(read_ids(raw), num_top, question, lambda: self._voice.is_withdrawn(question))
                case _:
                    self._voice.say({"id": question["id"], "busy": self.loop.busy()})
        except (ValueError, GrammarRefused) as error:
            self._voice.say({"id": question.get("id"), "round": question.get("round"), "refused": str(error)})

    def _embedded(self, number: int) -> Floats:
        """The rows of a round's pictures. Raises ValueError where they are not of this model's width."""
        raw = b"".join(self._rows.pop(number, ()))
        return np.frombuffer(raw, dtype=np.float32).reshape(-1, self._row_width)

    def _sequences(self, number: int, request: SequenceRequest) -> list[RunningSequence]:
        words = Words(
            num_tokens=self.num_tokens, is_end=self._ends.__contains__, written=self._written(request.markers)
        )
        grammar = request.grammar
        constraints: list[Constraint | None] = [
            None if grammar is None else self._grammars.constraint(grammar.lark) for _ in range(request.num_sequences)
        ]
        return [RunningSequence(number, index, request, words, each) for index, each in enumerate(constraints)]

    def _written(self, markers: tuple[str, ...]) -> Callable[[int], bytes]:
        if not markers:
            return self._pieces.written
        texts = {marker.encode() for marker in markers}
        shown = {t for t in self.silent if self._pieces.piece(t) in texts}
        return lambda t: self._pieces.piece(t) if t in shown else self._pieces.written(t)

    @cached_property
    def _grammars(self) -> Grammars:
        pieces = [self._pieces.piece(t) for t in range(self.num_tokens)]
        attributes = [self._library.api.llama_vocab_get_attr(self._vocabulary, t) for t in range(self.num_tokens)]
        special = [
            t for t, attribute in enumerate(attributes) if attribute & (ATTRIBUTE_CONTROL | ATTRIBUTE_USER_DEFINED)
        ]
        return Grammars(pieces, special=special, ends=sorted(self._ends))


def main() -> None:
    voice = Voice()
    options = json.loads(sys.argv[1])
    shape = ContextShape(
        num_sequences=options["num_slots"],
        sequence_tokens=options["context_length"],
        batch_tokens=max(options["batch_tokens"], options["num_slots"]),
        picture_rows=options["picture_rows"],
        num_threads=options["num_threads"],
    )
    build = None if options["build"] is None else Path(options["build"])
    try:
        # First: a build that we do not know is refused before any weights are loaded.
        library = LibLlama(library_path(build))
        worker = Worker(library, Context(library, options["model"], shape), voice)
    except (Unsupported, RuntimeError, ValueError) as error:
        voice.say({"event": "failed", "reason": str(error)})
        return
    voice.say({"event": "ready", "num_tokens": worker.num_tokens, "silent": worker.silent}, worker.packed)
    voice.listen()
    worker.run()


if __name__ == "__main__":
    main()
