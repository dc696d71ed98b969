"""The vision worker: a projector apart from its model's weights. It says what pictures take in a prompt, and looks at them.

    python -m parley.workers.confine '<limits>' parley.workers.vision '<options as JSON>'

It says `failed`, or `ready`. The answer to `lay_out` has the parts of `core.picture.Layout`; that to `look` (raw: the
pixels) is the picture's rows (raw), which are kept for a while, for who asks under the same salt.
"""

import json
import sys
from collections import OrderedDict
from pathlib import Path

from parley.core.channel import Header
from parley.core.gguf import InvalidModelFile, read_header
from parley.core.llama_library import Unsupported, library_path
from parley.core.picture import Marks, Rows
from parley.core.projector import projector_kind
from parley.workers.libllama import LibLlama
from parley.workers.libmtmd import SIGNATURES, Projector, Unreadable
from parley.workers.voice import Voice


class Memory:
    """The rows of the pictures that were looked at last, up to so many bytes."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._num_bytes = 0
        self._kept: OrderedDict[tuple[str, str], bytes] = OrderedDict()

    def find(self, key: tuple[str, str]) -> bytes | None:
        """What was kept under this key."""
        rows = self._kept.get(key)
        if rows is not None:
            self._kept.move_to_end(key)
        return rows

    def keep(self, key: tuple[str, str], rows: bytes) -> None:
        """Keep it, and forget what was not asked for the longest where there is no room."""
        self._num_bytes += len(rows) - len(self._kept.pop(key, b""))
        self._kept[key] = rows
        while self._num_bytes > self._most_bytes:
            _, gone = self._kept.popitem(last=False)
            self._num_bytes -= len(gone)


def _answer(projector: Projector, memory: Memory, voice: Voice, question: Header, raw: bytes) -> None:
    width, height = int(str(question["width"])), int(str(question["height"]))
    if question["op"] == "lay_out":
        parts = [_as_list(part) for part in projector.lay_out(width, height)]
        voice.say({"id": question["id"], "parts": parts})
        return
    key = (str(question["salt"]), str(question["digest"]))
    rows = memory.find(key)
    if rows is None:
        rows = projector.look(width, height, raw, lambda: voice.is_withdrawn(question))
        if rows is None:
            return
        memory.keep(key, rows)
    voice.say({"id": question["id"]}, rows)


def _as_list(part: Marks | Rows) -> list[object]:
    """Marks as a list of their ids, rows as what `Rows` is made of."""
    if isinstance(part, Marks):
        return ["marks", list(part.token_ids)]
    return ["rows", part.count, part.num_positions, part.columns, part.is_causal]


def main() -> None:
    voice = Voice()
    options = json.loads(sys.argv[1])
    build = None if options["build"] is None else Path(options["build"])
    try:
        projector_kind(read_header(Path(options["projector"])))
        library = LibLlama(library_path(build), SIGNATURES)
        model = library.load_model(options["model"], has_weights=False)
        projector = Projector(library, model, options["projector"], num_threads=options["num_threads"])
    except (InvalidModelFile, Unsupported, Unreadable, RuntimeError) as error:
        voice.say({"event": "failed", "reason": str(error)})
        return
    memory = Memory(options["memory_bytes"])
    voice.say({"event": "ready"})
    voice.listen()
    while (asked := voice.next_question()) is not None:
        question, raw = asked
        try:
            _answer(projector, memory, voice, question, raw)
        except (Unreadable, Unsupported) as error:
            voice.say({"id": question["id"], "refused": str(error)})


if __name__ == "__main__":
    main()
