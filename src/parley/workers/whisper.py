"""The Whisper worker: hears with a checkpoint in CTranslate2's form, by faster-whisper, some windows at a time.

python -m parley.workers.confine '<limits>' parley.workers.whisper '{"folder": "…", "num_threads": 2}'
"""

import json
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np

from parley.workers.passages import Passage
from parley.workers.speech_loop import Segment, SpeechLoop, Unheard, Wish
from parley.workers.voice import Voice

# Whisper's windows have 30 s. It finds its own way through several, and remembers what it wrote; memory stays flat.
_LONGEST_SECONDS = 240.0
# OpenAI's ladder: 0 first, and higher where a window does not succeed.
_LADDER = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
# How much of what was said before is given on to the next passage, in characters.
_MOST_SAID = 400
_FULL_SCALE = 32_768.0


class WhisperRecognizer:
    """Implements `workers.speech_loop.Recognizer`."""

    longest_seconds = _LONGEST_SECONDS

    def __init__(self, folder: str, num_threads: int) -> None:
        # Imported here: what they print must not come between messages.
        import ctranslate2  # type: ignore[import-untyped]
        from faster_whisper import WhisperModel  # type: ignore[import-untyped]

        has_gpu = ctranslate2.get_cuda_device_count() > 0
        self._model = WhisperModel(
            folder,
            device="cuda" if has_gpu else "cpu",
            compute_type="float16" if has_gpu else "int8",
            cpu_threads=num_threads,
            local_files_only=True,
        )

    def hear(self, passage: Passage, wish: Wish) -> Iterator[Segment]:
        samples = passage.samples.astype(np.float32) / _FULL_SCALE
        try:
            found, facts = self._model.transcribe(
                samples,
                language=wish.language,
                task=wish.task,
                # The ladder holds where the client named no temperature above 0.
                temperature=[wish.temperature] if wish.temperature else list(_LADDER),
                initial_prompt=" ".join(part for part in (wish.prompt, wish.said[-_MOST_SAID:].strip()) if part)
                or None,
                word_timestamps=wish.has_words,
            )
            wish.language = facts.language
            for each in found:
                yield _segment(each)
        except (RuntimeError, ValueError) as error:
            raise Unheard(f"faster-whisper: {error}") from error


def _segment(each: Any) -> Segment:  # noqa: ANN401 - faster-whisper's own type, which is not imported here
    return Segment(
        text=each.text,
        start=float(each.start),
        end=float(each.end),
        tokens=[int(token) for token in each.tokens],
        temperature=float(each.temperature or 0.0),
        avg_logprob=float(each.avg_logprob),
        compression_ratio=float(each.compression_ratio),
        no_speech_prob=float(each.no_speech_prob),
        words=[(word.word, float(word.start), float(word.end)) for word in each.words or ()],
    )


def main() -> None:
    voice = Voice()
    options = json.loads(sys.argv[1])
    try:
        recognizer = WhisperRecognizer(options["folder"], options["num_threads"])
    except (RuntimeError, ValueError, OSError) as error:
        voice.say({"event": "failed", "reason": f"the checkpoint cannot be loaded: {error}"})
        return
    SpeechLoop(voice, recognizer).run()


if __name__ == "__main__":
    main()
