"""The Whisper worker: hears with a checkpoint in CTranslate2's form, by faster-whisper, windows of many recordings at once.

    python -m parley.workers.confine '<limits>' parley.workers.whisper '<options as JSON>'

Options: `folder`, `num_threads`, `num_joined` (windows that are decoded together at the most), `voice_threshold`, and the
`rules` of workers/ladder.py.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from greenlet import GreenletExit, getcurrent, greenlet  # type: ignore[import-untyped]

from parley.workers.calls import Call
from parley.workers.ladder import Rules
from parley.workers.passages import Passage
from parley.workers.speech_loop import Segment, SpeechLoop, Unheard, Wish
from parley.workers.voice import Voice
from parley.workers.voice_activity import ear_maker

# faster-whisper finds its own way through the windows of a passage, and remembers what it wrote; memory stays flat.
_LONGEST_SECONDS = 120.0
_WINDOW_SECONDS = 30.0
# OpenAI's ladder: 0 first, and higher where a window does not succeed.
_LADDER = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
# Above this temperature what was written is not given on; and no more of it than this, in tokens: both as faster-whisper
# has them within a passage.
_TRUSTED_TEMPERATURE = 0.5
_MOST_SAID = 223
_FULL_SCALE = 32_768.0


class WhisperRecognizer:
    """Implements `workers.speech_loop.Recognizer`."""

    longest_seconds = _LONGEST_SECONDS
    window_seconds = _WINDOW_SECONDS

    def __init__(self, options: dict[str, Any]) -> None:
        # Imported here: what it prints must not come between messages.
        from parley.workers.whisper_model import LadderedWhisper  # noqa: PLC0415 - as above

        self._rules = Rules(**options["rules"])
        self._model = LadderedWhisper(
            Path(options["folder"]),
            num_threads=options["num_threads"],
            num_joined=options["num_joined"],
            rules=self._rules,
        )

    def hear(self, passage: Passage, wish: Wish) -> Iterator[Segment | Call]:
        def listen() -> None:
            for segment in self._segments(passage, wish):
                getcurrent().parent.switch(segment)

        listening = greenlet(listen)
        try:
            item = listening.switch()
            while not listening.dead:
                yield item
                item = listening.switch(item.answer if isinstance(item, Call) else None)
        except (RuntimeError, ValueError) as error:
            raise Unheard(f"faster-whisper: {error}") from error
        finally:
            if not listening.dead:
                listening.throw(GreenletExit)

    def answer(self, calls: Sequence[Call]) -> None:
        try:
            self._model.answer(calls)
        except (RuntimeError, ValueError) as error:
            raise Unheard(f"CTranslate2: {error}") from error

    def _segments(self, passage: Passage, wish: Wish) -> Iterator[Segment]:
        if wish.said is None:
            wish.said = self._tokens(wish.prompt)
        found, facts = self._model.transcribe(
            passage.samples.astype(np.float32) / _FULL_SCALE,
            language=wish.language,
            task=wish.task,
            # The ladder holds where the client named no temperature above 0.
            temperature=[wish.temperature] if wish.temperature else list(_LADDER),
            initial_prompt=list(wish.said) or None,
            word_timestamps=wish.has_words,
            prompt_reset_on_temperature=_TRUSTED_TEMPERATURE,
            compression_ratio_threshold=self._rules.compression_ratio,
            log_prob_threshold=self._rules.log_prob,
            no_speech_threshold=self._rules.no_speech,
        )
        wish.language = facts.language
        for each in found:
            segment = _segment(each)
            wish.said = [] if segment.temperature > _TRUSTED_TEMPERATURE else wish.said + segment.tokens
            wish.said = wish.said[-_MOST_SAID:]
            yield segment

    def _tokens(self, prompt: str | None) -> list[int]:
        if not prompt or not prompt.strip():
            return []
        ids: list[int] = self._model.hf_tokenizer.encode(f" {prompt.strip()}", add_special_tokens=False).ids
        return ids


def _segment(each: Any) -> Segment:  # noqa: ANN401 - faster-whisper's own type, which is not imported here
    return Segment(
        text=each.text,
        start=float(each.start),
        end=float(each.end),
        seek=int(each.seek),
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
    threshold = float(options["voice_threshold"])
    try:
        recognizer = WhisperRecognizer(options)
    except (RuntimeError, ValueError, OSError) as error:
        voice.say({"event": "failed", "reason": f"the checkpoint cannot be loaded: {error}"})
        return
    SpeechLoop(voice, recognizer, ear_maker(threshold), threshold=threshold).run()


if __name__ == "__main__":
    main()
