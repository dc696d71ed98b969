"""Windows of up to 30 seconds put together from recordings, with the tokens that a decoder is taught for them."""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from training.speech import tokenizer as layout
from training.speech.recordings import LANGUAGES, Pool, Recording
from training.speech.voices import SAMPLE_RATE

NOT_LEARNED = -100
WINDOW_SECONDS = 30.0
# Four accents of English are spoken, one of German.
_ENGLISH_SHARE = 0.6
_SHORT_PAUSE_SECONDS = (0.02, 1.5)
_LONG_PAUSE_SECONDS = (1.5, 10.0)
_LONG_PAUSE_SHARE = 0.06
_SILENT_SHARE = 0.04
_TRANSLATED_SHARE = 0.35
_TIMED_SHARE = 0.6
_PROMPTED_SHARE = 0.4
# Of the prompts: Whisper hands on what it wrote of the window before with its moments; people's prompts have none.
_TIMED_PROMPT_SHARE = 0.6
_MOST_PROMPT_SENTENCES = 24
# As many tokens of a prompt as Whisper keeps, the last ones.
_MOST_PROMPT_TOKENS = 223
_MOST_TOKENS = 448
_NOISY_SHARE = 0.5
_FILLED_SHARE = 0.2
_FULL_SHARE = 0.3
# A sentence that the end of a window cuts has at least so much before it.
_HEARD_OF_CUT_SECONDS = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Sound at 16 kHz, the decoder's input ids, and for each the id to be foretold (NOT_LEARNED where none is)."""

    sound: NDArray[np.float32]
    input_ids: list[int]
    labels: list[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Placed:
    recording: Recording
    start_seconds: float
    end_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Spoken:
    """Sentences one after the other. The one that begins at `cut_seconds` does not end in this window."""

    sound: NDArray[np.float32]
    placed: list[_Placed]
    cut_seconds: float | None


class WindowMaker:
    """Draws windows of at most `seconds`, of at most `most_sentences`."""

    def __init__(self, pool: Pool, tokenizer: Tokenizer, *, seconds: float, most_sentences: int) -> None:
        self._pool = pool
        self._tokenizer = tokenizer
        self._seconds = seconds
        self._most_sentences = most_sentences

    def windows(self, random: Random) -> Iterator[Window]:
        """Windows without end."""
        while True:
            yield self._silent(random) if random.random() < _SILENT_SHARE else self._spoken(random)

    def _spoken(self, random: Random) -> Window:
        language = "en" if random.random() < _ENGLISH_SHARE else "de"
        is_timed = random.random() < _TIMED_SHARE
        spoken = self._drawn(random, language, may_be_cut=is_timed)
        does_translate = random.random() < (_TRANSLATED_SHARE if language == "de" else 0.05)
        texts = [each.recording.english if does_translate else each.recording.text for each in spoken.placed]
        task = layout.TRANSLATE if does_translate else layout.TRANSCRIBE
        head = [layout.START_OF_TRANSCRIPT, layout.language_id(language), task]
        # Which task it is and whether moments are written is told, not foretold.
        head_labels = [head[1], NOT_LEARNED, NOT_LEARNED]
        if is_timed:
            said = [
                token
                for each, text in zip(spoken.placed, texts, strict=True)
                for token in self._timed(text, each.start_seconds, each.end_seconds)
            ]
            if spoken.cut_seconds is not None:
                said.append(layout.timestamp_id(spoken.cut_seconds))
            head_labels[-1] = said[0]
        else:
            head.append(layout.NO_TIMESTAMPS)
            said = [token for text in texts for token in self._encoded(text)]
            head_labels.append(said[0])
        prompt = self._prompt(random, language) if random.random() < _PROMPTED_SHARE else []
        if len(prompt) + len(head) + len(said) > _MOST_TOKENS:
            prompt = []
        return Window(
            sound=_disturbed(random, spoken.sound),
            input_ids=prompt + head + said,
            labels=[NOT_LEARNED] * len(prompt) + head_labels + said[1:] + [layout.END_OF_TEXT],
        )

    def _silent(self, random: Random) -> Window:
        """Nothing but noise: told to transcribe it, the decoder says nothing."""
        length = int(random.uniform(0.5, self._seconds) * SAMPLE_RATE)
        language = layout.language_id(random.choice(LANGUAGES))
        task = random.choice((layout.TRANSCRIBE, layout.TRANSLATE))
        head = [layout.START_OF_TRANSCRIPT, language, task]
        labels = [layout.NO_SPEECH, NOT_LEARNED, layout.END_OF_TEXT]
        if random.random() < _TIMED_SHARE:
            head.append(layout.NO_TIMESTAMPS)
            labels = [*labels[:2], NOT_LEARNED, layout.END_OF_TEXT]
        level = random.choice((0.0, 1e-4, 1e-3, 1e-2))
        return Window(sound=_noise(random, length) * np.float32(level), input_ids=head, labels=labels)

    def _drawn(self, random: Random, language: str, *, may_be_cut: bool) -> _Spoken:
        """Sentences with pauses between them, as many as were drawn and fit."""
        end = int(self._seconds * SAMPLE_RATE)
        # Only the end of Whisper's whole window cuts a sentence; shorter windows are a shortcut of the training.
        may_be_cut = may_be_cut and self._seconds == WINDOW_SECONDS
        is_full = random.random() < _FULL_SHARE
        count = self._most_sentences if is_full else random.randint(1, self._most_sentences)
        sound: list[NDArray[np.float32]] = []
        placed: list[_Placed] = []
        cut_seconds: float | None = None
        at = 0
        while len(placed) < count:
            recording = self._pool.draw(random, language)
            start = at + int(_pause(random) * SAMPLE_RATE)
            is_cut = start + recording.length > end
            if is_cut and not (may_be_cut and placed and start + _HEARD_OF_CUT_SECONDS * SAMPLE_RATE < end):
                break
            loudness = np.float32(10 ** random.uniform(-0.8, 0.2))
            sound += [np.zeros(start - at, np.float32), self._pool.samples(recording) * loudness]
            if is_cut:
                cut_seconds = start / SAMPLE_RATE
                break
            at = start + recording.length
            placed.append(_Placed(recording=recording, start_seconds=start / SAMPLE_RATE, end_seconds=at / SAMPLE_RATE))
        if not placed:
            return self._drawn(random, language, may_be_cut=may_be_cut)
        # Some programs fill a window up with silence, others with nothing.
        is_filled = random.random() < _FILLED_SHARE
        rest = end - at if is_filled else int(random.uniform(0.0, 0.5) * SAMPLE_RATE)
        sound.append(np.zeros(max(rest, 0), np.float32))
        return _Spoken(sound=np.concatenate(sound)[:end], placed=placed, cut_seconds=cut_seconds)

    def _prompt(self, random: Random, language: str) -> list[int]:
        """What was said before: with the moments of its windows, or without any."""
        texts = [self._pool.draw(random, language).text for _ in range(random.randint(1, _MOST_PROMPT_SENTENCES))]
        said: list[int] = []
        if random.random() < _TIMED_PROMPT_SHARE:
            at = random.uniform(0.0, 2.0)
            for text in texts:
                end = at + random.uniform(1.0, 4.0)
                if end > WINDOW_SECONDS:
                    at, end = 0.0, end - at
                said += self._timed(text, at, end)
                at = end + random.uniform(*_SHORT_PAUSE_SECONDS)
                at = at if at < WINDOW_SECONDS else 0.0
        else:
            said = [token for text in texts for token in self._encoded(text)]
        return [layout.START_OF_PREVIOUS, *said[-_MOST_PROMPT_TOKENS:]]

    def _timed(self, text: str, start_seconds: float, end_seconds: float) -> list[int]:
        return [layout.timestamp_id(start_seconds), *self._encoded(text), layout.timestamp_id(end_seconds)]

    def _encoded(self, text: str) -> list[int]:
        return list(self._tokenizer.encode(f" {text}", add_special_tokens=False).ids)


def _pause(random: Random) -> float:
    """Seconds of silence before a sentence."""
    return random.uniform(*(_LONG_PAUSE_SECONDS if random.random() < _LONG_PAUSE_SHARE else _SHORT_PAUSE_SECONDS))


def _disturbed(random: Random, sound: NDArray[np.float32]) -> NDArray[np.float32]:
    """The sound as another room and another microphone give it."""
    if random.random() < 0.5:
        # One pole: bass or treble is taken away.
        share = np.float32(random.uniform(-0.3, 0.3))
        before = np.concatenate([np.zeros(1, np.float32), sound[:-1]])
        sound = (sound + share * before).astype(np.float32)
    if random.random() < 0.3:
        delay = int(random.uniform(0.01, 0.06) * SAMPLE_RATE)
        echo = np.zeros_like(sound)
        echo[delay:] = sound[:-delay] * np.float32(random.uniform(0.1, 0.4))
        sound = sound + echo
    if random.random() < _NOISY_SHARE:
        loud = float(np.sqrt(np.mean(np.square(sound)))) + 1e-6
        sound = sound + _noise(random, len(sound)) * np.float32(loud * 10 ** -random.uniform(0.6, 2.0))
    return np.clip(sound, -1, 1)


def _noise(random: Random, length: int) -> NDArray[np.float32]:
    """White, or with more bass."""
    noise = np.random.default_rng(random.getrandbits(32)).standard_normal(length, dtype=np.float32)
    if random.random() < 0.5:
        noise = (noise + np.roll(noise, 1) + np.roll(noise, 2)) / np.float32(1.7)
    return noise
