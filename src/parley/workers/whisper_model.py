"""faster-whisper's model with its calls to CTranslate2 taken apart, so that those of many recordings can be answered in one go.

Its own code runs unchanged for each recording, in a greenlet that a call leaves and its answer resumes; so windows, moments,
prompts and words are what faster-whisper alone makes of them. Import it only when the worker has its voice.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import ctranslate2  # type: ignore[import-untyped]  # noqa: TID253 - imported late: see above
import numpy as np
from faster_whisper import WhisperModel  # type: ignore[import-untyped]  # noqa: TID253 - as above
from faster_whisper.audio import pad_or_trim  # type: ignore[import-untyped]  # noqa: TID253 - as above
from greenlet import getcurrent, greenlet  # type: ignore[import-untyped]
from numpy.typing import NDArray

from parley.workers.calls import Call
from parley.workers.ladder import Attempt, Rules, best, compression_ratio, find_loop, without_loops

# Encoding gains nothing by company on a CPU, and takes room for each window.
_ENCODED_TOGETHER = {"cpu": 2, "cuda": 8}
_ENCODE, _DETECT, _DECODE = range(3)

Features = NDArray[np.float32]
Encoded = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Encode:
    """What does a window sound like?"""

    features: Features


@dataclass(frozen=True, slots=True)
class Detect:
    """Which languages may it be?"""

    encoded: Encoded


@dataclass(frozen=True, slots=True)
class Generate:
    """What is said in it?"""

    encoded: Encoded
    prompt: list[int]
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Align:
    """When is each token of it said?"""

    encoded: Encoded
    start: list[int]
    tokens: list[int]
    num_frames: int
    options: dict[str, Any] = field(default_factory=dict)


class TakenApart:
    """Stands where faster-whisper has `ctranslate2.models.Whisper`: every question is a Call of the greenlet that asks it."""

    def __init__(self, runtime: Any, num_joined: int) -> None:  # noqa: ANN401 - CTranslate2 has no types
        self._num_joined = num_joined
        self.is_multilingual: bool = runtime.is_multilingual
        self.device: str = runtime.device
        self.device_index: list[int] = runtime.device_index
        # The window that each recording was last encoded for, with the answer, once.
        self._known: WeakKeyDictionary[greenlet, tuple[Features, Encoded]] = WeakKeyDictionary()

    def keep(self, window: Features, encoded: Encoded) -> None:
        """What the same recording's next `encode` need not ask again, where it is about the same window."""
        self._known[getcurrent()] = window, encoded

    def encode(self, features: Any, to_cpu: bool = False) -> Encoded:  # noqa: ANN401, ARG002 - CTranslate2's
        window = np.array(features)
        known = self._known.pop(getcurrent(), None)
        if known is not None and np.array_equal(known[0], window):
            return known[1]
        most = min(_ENCODED_TOGETHER[self.device], self._num_joined)
        answer: Encoded = _ask(Call(key=window.shape, question=Encode(window), stage=_ENCODE, most=most))
        return answer

    def detect_language(self, encoded: Encoded) -> list[Any]:
        return [_ask(Call(key="detect", question=Detect(encoded), stage=_DETECT, most=self._num_joined))]

    def generate(self, encoded: Encoded, prompts: list[list[int]], **options: Any) -> list[Any]:  # noqa: ANN401 - as above
        [prompt] = prompts
        question = Generate(encoded, prompt, options)
        # CTranslate2 wants prompts of one length. What is drawn by chance is drawn alone.
        key: object = (len(prompt), tuple(sorted(options.items())))
        if "sampling_temperature" in options:
            key = question.prompt, id(question)
        return [_ask(Call(key=key, question=question, stage=_DECODE, most=self._num_joined))]

    def align(
        self,
        encoded: Encoded,
        start: list[int],
        tokens: list[list[int]],
        num_frames: int,
        **options: Any,  # noqa: ANN401
    ) -> list[Any]:
        [one] = tokens
        question = Align(encoded, start, one, num_frames, options)
        key = (tuple(start), tuple(sorted(options.items())))
        return [_ask(Call(key=key, question=question, stage=_DECODE, most=self._num_joined))]


def _ask(call: Call) -> Any:  # noqa: ANN401 - each question has its own answer
    return getcurrent().parent.switch(call)


def _joined(parts: Sequence[NDArray[np.float32]]) -> Any:  # noqa: ANN401 - as above
    return ctranslate2.StorageView.from_array(np.ascontiguousarray(np.concatenate(parts)))


@dataclass(frozen=True, slots=True)
class Decoded:
    """What faster-whisper reads of a decoded window."""

    sequences_ids: list[list[int]]
    no_speech_prob: float


class LadderedWhisper(WhisperModel):  # type: ignore[misc]
    """faster-whisper with our ladder: the same as its own, and a window that repeats itself has failed too."""

    def __init__(self, folder: Path, *, num_threads: int, num_joined: int, rules: Rules) -> None:
        has_gpu = ctranslate2.get_cuda_device_count() > 0
        super().__init__(
            str(folder),
            device="cuda" if has_gpu else "cpu",
            compute_type="float16" if has_gpu else "int8",
            cpu_threads=num_threads,
            local_files_only=True,
        )
        self._runtime: Any = self.model
        self._rules = rules
        # What faster-whisper asks from here on.
        self.model: TakenApart = TakenApart(self._runtime, num_joined)

    def detect_language(self, features: Features, **_unused: object) -> tuple[str, float, list[tuple[str, float]]]:
        """faster-whisper calls it where no language was named: (language, its probability, all probabilities).

        It is found out in the first window as this is decoded afterwards, so that a recording's first window is encoded once.
        """
        num_frames = min(self.feature_extractor.nb_max_frames, features.shape[-1] - 1)
        window = pad_or_trim(features[:, :num_frames])
        encoded = self.encode(window)
        self.model.keep(window[np.newaxis], encoded)
        [results] = self.model.detect_language(encoded)
        likely = [(token[2:-2], probability) for token, probability in results]
        return (*likely[0], likely)

    def answer(self, calls: Sequence[Call]) -> None:
        """Ask CTranslate2 once for calls of one key. Raises RuntimeError and ValueError, as it does."""
        questions = [call.question for call in calls]
        first = questions[0]
        if isinstance(first, Encode):
            together = self._runtime.encode(_joined([each.features for each in questions]), to_cpu=True)
            answers: Sequence[Any] = np.split(np.array(together), len(questions))
        else:
            together = _joined([each.encoded for each in questions])
            match first:
                case Detect():
                    answers = self._runtime.detect_language(together)
                case Generate():
                    prompts = [each.prompt for each in questions]
                    answers = self._runtime.generate(together, prompts, **first.options)
                case Align():
                    answers = self._runtime.align(
                        together,
                        first.start,
                        [each.tokens for each in questions],
                        [each.num_frames for each in questions],
                        **first.options,
                    )
                case _:
                    raise ValueError(f"{first!r} is no question")
        for call, each in zip(calls, answers, strict=True):
            call.answer = each

    def generate_with_fallback(
        self,
        encoder_output: Encoded,
        prompt: list[int],
        tokenizer: Any,  # noqa: ANN401 - faster-whisper's own types
        options: Any,  # noqa: ANN401
    ) -> tuple[Decoded, float, float, float]:
        """faster-whisper calls it for each window: (what is in it, mean log-probability, temperature, compression ratio)."""
        attempts: list[Attempt] = []
        for temperature in options.temperatures:
            attempts.append(self._attempt(encoder_output, prompt, tokenizer, options, temperature))
            if not attempts[-1].has_failed(self._rules):
                taken = attempts[-1]
                break
        else:
            taken = best(attempts, self._rules)
        tokens = taken.tokens
        if taken.has_loop:
            tokens = without_loops(tokens, tokenizer.timestamp_begin, self._rules.max_repeats)
        decoded = Decoded([list(tokens)], taken.no_speech_prob)
        # The last temperature says whether what is written goes on into the next window's prompt.
        return decoded, taken.avg_logprob, attempts[-1].temperature, taken.compression_ratio

    def _attempt(
        self,
        encoded: Encoded,
        prompt: list[int],
        tokenizer: Any,  # noqa: ANN401 - as above
        options: Any,  # noqa: ANN401
        temperature: float,
    ) -> Attempt:
        if temperature > 0:
            how = {"beam_size": 1, "num_hypotheses": options.best_of, "sampling_topk": 0}
            how["sampling_temperature"] = temperature
        else:
            how = {"beam_size": options.beam_size, "patience": options.patience}
        [result] = self.model.generate(
            encoded,
            [prompt],
            length_penalty=options.length_penalty,
            max_length=self.max_length,
            return_scores=True,
            return_no_speech_prob=True,
            suppress_blank=options.suppress_blank,
            suppress_tokens=options.suppress_tokens,
            max_initial_timestamp_index=round(options.max_initial_timestamp / self.time_precision),
            **how,
        )
        tokens = tuple(result.sequences_ids[0])
        score = result.scores[0] * len(tokens) ** options.length_penalty
        text_tokens = [token for token in tokens if token < tokenizer.timestamp_begin]
        return Attempt(
            tokens=tokens,
            temperature=temperature,
            avg_logprob=score / (len(tokens) + 1),
            no_speech_prob=result.no_speech_prob,
            compression_ratio=compression_ratio(tokenizer.decode(tokens).strip()),
            has_loop=find_loop(text_tokens, self._rules.max_repeats) is not None,
        )
