"""How a worker speaks: it keeps standard output for messages and sends everything that libraries print to stderr."""

import os
import queue
import sys
import threading
from collections.abc import Mapping

from parley.core.channel import Header, pack, read_message

Question = tuple[Header, bytes]


class Voice:
    """The worker's two ends of the channel. Made once, before any runtime is imported."""

    def __init__(self) -> None:
        self._output = os.fdopen(os.dup(1), "wb", buffering=0)
        os.dup2(2, 1)
        self._questions: queue.Queue[Question] = queue.Queue()
        self._withdrawn: set[object] = set()
        self._lock = threading.Lock()

    def say(self, header: Mapping[str, object], raw: bytes = b"") -> None:
        """Send one message."""
        message = memoryview(pack(header, raw))
        with self._lock:
            while message:
                message = message[self._output.write(message) :]

    def listen(self) -> None:
        """Read questions from now on, on a thread of its own. The end of input means that nobody needs this worker."""
        threading.Thread(target=self._listen, daemon=True).start()

    def next_question(self, *, timeout_seconds: float | None = None) -> Question | None:
        """The next question that is still wanted; None after `timeout_seconds` without one."""
        while True:
            try:
                header, raw = self._questions.get(timeout=timeout_seconds)
            except queue.Empty:
                return None
            if not self.is_withdrawn(header):
                return header, raw

    def is_withdrawn(self, question: Header) -> bool:
        """Whether the asker has gone meanwhile; then the answer is not wanted."""
        question_id = question.get("id")
        if question_id in self._withdrawn:
            self._withdrawn.discard(question_id)
            return True
        return False

    def _listen(self) -> None:
        while (message := read_message(sys.stdin.buffer)) is not None:
            header, raw = message
            if header.get("op") == "withdraw":
                self._withdrawn.add(header.get("withdrawn"))
            else:
                self._questions.put((header, raw))
        # Not sys.exit: the main thread may be deep inside the runtime, and nothing here needs tidying.
        os._exit(0)
