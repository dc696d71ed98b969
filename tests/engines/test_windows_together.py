"""Windows of many recordings in one pass: each recording's text is the one that faster-whisper alone makes of it."""

from pathlib import Path

import numpy as np
import pytest

from parley.workers.speech_loop import Segment
from parley.workers.whisper import WhisperRecognizer
from tests.builders_speech import spoken, worker_arguments
from tests.ensemble import Ensemble, facts, wish
from tests.whisper_maker import make_chance_whisper

NUM_CLIPS = 16
# Nothing fails, so that nothing is drawn by chance.
LENIENT = {"compression_ratio": 1e3, "log_prob": -1e3, "no_speech": 1.0, "max_repeats": 0}
PROMPT = "Mr Vogel"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_chance_whisper(tmp_path_factory.mktemp("chance"))


@pytest.fixture(scope="module")
def clips() -> list[np.ndarray]:
    """From 2 to 41 seconds, each with another beginning and loudness."""
    whole = spoken(60.0)
    return [
        (np.roll(whole, 5_000 * number)[: int((2 + 2.6 * number) * 16_000)] * (0.3 + number / 25)).astype(np.int16)
        for number in range(NUM_CLIPS)
    ]


def test_each_of_many_recordings_gets_the_text_the_words_and_the_language_that_faster_whisper_alone_gives_it(
    checkpoint, clips
):
    from faster_whisper import WhisperModel

    asked = [
        {"task": ("transcribe", "translate")[number % 2], "language": (None, "fr")[number // 2 % 2]}
        | {"prompt": (None, PROMPT)[number // 4 % 2]}
        for number in range(NUM_CLIPS)
    ]
    alone = WhisperModel(str(checkpoint), device="cpu", compute_type="int8", cpu_threads=1)
    expected = []
    for clip, each in zip(clips, asked, strict=True):
        found, about = alone.transcribe(
            clip.astype(np.float32) / 32_768,
            task=each["task"],
            language=each["language"],
            initial_prompt=each["prompt"],
            word_timestamps=True,
            temperature=[0.0],
            log_prob_threshold=-1e3,
            compression_ratio_threshold=1e3,
            no_speech_threshold=1.0,
        )
        said = [facts(each, [(word.word, word.start, word.end) for word in each.words]) for each in found]
        expected.append((said, about.language))
    # Otherwise the recordings might be told from each other by nothing.
    assert len({str(each) for each in expected}) > NUM_CLIPS * 3 / 4
    ensemble = Ensemble(WhisperRecognizer(worker_arguments(checkpoint, num_joined=8, **LENIENT)))
    wishes = [wish(has_words=True, **each) for each in asked]
    said = ensemble.hear(clips, wishes)
    together = [
        ([facts(segment, segment.words) for segment in mine], each.language)
        for mine, each in zip(said, wishes, strict=True)
    ]
    num_equal = sum(mine == theirs for mine, theirs in zip(together, expected, strict=True))
    assert num_equal >= 0.99 * NUM_CLIPS
    assert max(ensemble.sizes["Generate"]) >= 4
    assert ensemble.sizes["Detect"] == [NUM_CLIPS / 2]
    assert max(ensemble.sizes["Align"]) >= 2


def test_a_window_that_failed_is_decoded_again_alone_at_the_next_temperature(checkpoint, clips):
    ensemble = Ensemble(WhisperRecognizer(worker_arguments(checkpoint, **(LENIENT | {"log_prob": -0.01}))))
    said = ensemble.hear(clips[:4], [wish() for _ in clips[:4]])
    assert {segment.temperature for mine in said for segment in mine} == {1.0}
    # Each window once with the others, and at the five temperatures above by itself.
    num_windows = sum(ensemble.sizes["Encode"])
    assert sum(ensemble.sizes["Generate"]) == 6 * num_windows
    assert ensemble.sizes["Generate"][0] == 4


def test_a_temperature_that_was_named_is_the_only_one(checkpoint, clips):
    ensemble = Ensemble(WhisperRecognizer(worker_arguments(checkpoint, log_prob=-0.01)))
    [said] = ensemble.hear(clips[:1], [wish(temperature=0.3)])
    assert said
    assert [segment.temperature for segment in said] == pytest.approx([0.3] * len(said))


def test_a_loop_is_decoded_again_and_what_still_repeats_itself_is_cut(checkpoint, clips):
    lenient = Ensemble(WhisperRecognizer(worker_arguments(checkpoint, **LENIENT)))
    strict = Ensemble(WhisperRecognizer(worker_arguments(checkpoint, **(LENIENT | {"max_repeats": 2}))))
    # Which of them chance makes a loop of is the processor's affair, too.
    said = lenient.hear(clips[:6], [wish() for _ in clips[:6]])
    loops = [clip for clip, mine in zip(clips[:6], said, strict=True) if max(map(longest_run, mine), default=0) >= 12]
    assert loops
    [varied] = strict.hear(loops[:1], [wish()])
    assert any(segment.temperature > 0 for segment in varied)
    [cut] = strict.hear(loops[:1], [wish(temperature=0.01)])
    assert max(map(longest_run, cut)) < 12


def longest_run(segment: Segment) -> int:
    """How often the same token stands in a row."""
    longest = run = 1
    for one, other in zip(segment.tokens, segment.tokens[1:], strict=False):
        run = run + 1 if one == other else 1
        longest = max(longest, run)
    return longest
