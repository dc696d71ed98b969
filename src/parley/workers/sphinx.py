"""The pocketsphinx worker: hears English with the model that the package bundles, a passage at a time.

python -m parley.workers.confine '<limits>' parley.workers.sphinx '{"voice_threshold": 0.5}'
"""

import json
import math
import sys
import zlib
from collections.abc import Iterator, Sequence
from itertools import pairwise

from parley.workers.calls import Call
from parley.workers.passages import Passage
from parley.workers.speech_loop import Segment, SpeechLoop, Unheard, Wish
from parley.workers.voice import Voice
from parley.workers.voice_activity import ear_maker

# Wider beams and a heavier language model than the package's own: docs/decisions/0015-speech.md has what they bring. The mean
# is taken over each passage by itself, so that no recording leaves a trace in how the next one is heard.
_OPTIONS = {"beam": 1e-60, "wbeam": 1e-40, "lw": 10.0, "cmn": "batch", "loglevel": "FATAL"}
_LONGEST_SECONDS = 30.0
_FRAMES_PER_SECOND = 100
# A pause of so many frames begins a new segment.
_PAUSE_FRAMES = 40
_NO_PROBABILITY = 1e-12

# (word, first frame, last frame, probability)
_Spoken = tuple[str, int, int, float]


class SphinxRecognizer:
    """Implements `workers.speech_loop.Recognizer`. It has neither temperature nor prompt, and hears English alone."""

    longest_seconds = _LONGEST_SECONDS
    window_seconds = 0.0

    def __init__(self) -> None:
        # Imported here: what it prints must not come between messages.
        from pocketsphinx import Decoder  # type: ignore[import-untyped]

        self._decoder = Decoder(**_OPTIONS)

    def hear(self, passage: Passage, wish: Wish) -> Iterator[Segment | Call]:
        wish.language = "en"
        call = Call(key="passage", question=passage.samples)
        yield call
        for group in between_pauses(call.answer):
            yield _segment(group)

    def answer(self, calls: Sequence[Call]) -> None:
        [call] = calls
        decoder = self._decoder
        try:
            decoder.start_utt()
            decoder.process_raw(call.question.tobytes(), full_utt=True)
            decoder.end_utt()
        except RuntimeError as error:
            raise Unheard(f"pocketsphinx: {error}") from error
        found = [] if decoder.hyp() is None else decoder.seg()
        call.answer = [(seg.word, seg.start_frame, seg.end_frame, seg.prob) for seg in found]


def between_pauses(spoken: list[_Spoken]) -> list[list[_Spoken]]:
    """The words, without marks of silence and noise and of other pronunciations, apart where the speaker pauses."""
    words = [(word.partition("(")[0], start, end, prob) for word, start, end, prob in spoken if word[0] not in "<[+"]
    groups = [words[:1]] if words else []
    for before, word in pairwise(words):
        if word[1] - before[2] > _PAUSE_FRAMES:
            groups.append([])
        groups[-1].append(word)
    return groups


def _segment(group: list[_Spoken]) -> Segment:
    text = " " + " ".join(word for word, *_ in group)
    written = text.encode()
    return Segment(
        text=text,
        start=group[0][1] / _FRAMES_PER_SECOND,
        end=(group[-1][2] + 1) / _FRAMES_PER_SECOND,
        avg_logprob=sum(math.log(max(prob, _NO_PROBABILITY)) for *_, prob in group) / len(group),
        compression_ratio=len(written) / len(zlib.compress(written)),
        words=[(word, start / _FRAMES_PER_SECOND, (end + 1) / _FRAMES_PER_SECOND) for word, start, end, _ in group],
    )


def main() -> None:
    voice = Voice()
    threshold = float(json.loads(sys.argv[1])["voice_threshold"])
    SpeechLoop(voice, SphinxRecognizer(), ear_maker(threshold), threshold=threshold).run()


if __name__ == "__main__":
    main()
