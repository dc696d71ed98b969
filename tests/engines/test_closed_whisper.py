"""Whisper on weights that know what is said: what faster-whisper alone would write, in company and through the worker."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from itertools import pairwise

import numpy as np
import pytest

from parley.core.speech import HeardSegment, Hearing, Task
from parley.serving.engines.speech import WorkerSpeechEngine
from parley.workers.ladder import Rules
from parley.workers.whisper import WhisperRecognizer
from tests.builders_closed import CLOSED, Talk, clips, error_rate, num_found, silence, talk, talks
from tests.builders_speech import texts, worker_arguments
from tests.engines.speech_worker import hear, running
from tests.ensemble import Ensemble, facts, wish

# Nothing is decoded twice, nothing is drawn by chance: the same for faster-whisper and for our rules.
NOTHING_FAILS = {"compression_ratio": 1e3, "log_prob": -1e3, "no_speech": 1.0, "max_repeats": 0}
ALONE_NOTHING_FAILS = {
    "temperature": [0.0],
    "compression_ratio_threshold": 1e3,
    "log_prob_threshold": -1e3,
    "no_speech_threshold": 1.0,
}
NUM_TALKS = 104
TRANSCRIBE = Hearing(task=Task.TRANSCRIBE)


@pytest.fixture(scope="module")
def alone():
    # Imported here: it is a runtime.
    from faster_whisper import WhisperModel

    return WhisperModel(str(CLOSED), device="cpu", compute_type="int8", cpu_threads=1)


@pytest.fixture
async def whisper() -> AsyncIterator[WorkerSpeechEngine]:
    async with running("whisper", num_slots=16, **worker_arguments(CLOSED, num_joined=16)) as engine:
        yield engine


def heard_alone(alone, samples: np.ndarray, **options: object) -> tuple[list, str]:
    found, about = alone.transcribe(samples.astype(np.float32) / 32_768, **options)
    said = [facts(each, [(word.word, word.start, word.end) for word in each.words or ()]) for each in found]
    return said, about.language


def test_each_of_a_hundred_recordings_gets_in_company_what_faster_whisper_alone_gives_it(alone) -> None:
    made = talks(NUM_TALKS, seed=5)
    asked = [
        {"task": "translate" if number % 4 == 3 else "transcribe", "language": (None, each.language)[number // 4 % 2]}
        | {"prompt": each.clips[-1].said if number % 5 == 4 else None, "has_words": number % 6 == 5}
        for number, each in enumerate(made)
    ]
    expected = [
        heard_alone(
            alone,
            each.samples,
            task=options["task"],
            language=options["language"],
            initial_prompt=options["prompt"],
            word_timestamps=options["has_words"],
            **ALONE_NOTHING_FAILS,
        )
        for each, options in zip(made, asked, strict=True)
    ]
    ensemble = Ensemble(WhisperRecognizer(worker_arguments(CLOSED, num_joined=16, **NOTHING_FAILS)))
    wishes = [wish(**options) for options in asked]
    said = ensemble.hear([each.samples for each in made], wishes)
    together = [
        ([facts(segment, segment.words) for segment in mine], each.language)
        for mine, each in zip(said, wishes, strict=True)
    ]
    same = [mine == theirs for mine, theirs in zip(together, expected, strict=True)]
    assert sum(same) >= 0.99 * NUM_TALKS
    # Otherwise the recordings might be told from each other by nothing, or were never answered together.
    assert len({str(each) for each in expected}) > 0.9 * NUM_TALKS
    assert max(ensemble.sizes["Generate"]) >= 8


async def test_recordings_that_the_worker_hears_at_once_say_what_each_says_alone(whisper: WorkerSpeechEngine) -> None:
    made = talks(16, seed=6)
    by_themselves = [await hear(whisper, TRANSCRIBE, each.samples.tobytes()) for each in made]
    at_once = await asyncio.gather(*(hear(whisper, TRANSCRIBE, each.samples.tobytes()) for each in made))
    same = [told(mine) == told(theirs) for mine, theirs in zip(at_once, by_themselves, strict=True)]
    assert sum(same) >= 0.99 * len(made)


def told(events: Sequence[object]) -> list[tuple]:
    return [(each.text, each.start, each.end, each.tokens) for each in events if isinstance(each, HeardSegment)]


async def test_what_is_said_is_written_down_in_its_language_and_translated_into_english(
    whisper: WorkerSpeechEngine,
) -> None:
    made = [
        talk(clips(language)[first : first + 2], [0.5, 0.5, 0.5]) for language in ("en", "de") for first in (0, 4, 8)
    ]
    written = [await hear(whisper, TRANSCRIBE, each.samples.tobytes()) for each in made]
    assert [events[-1].language for events in written] == [each.language for each in made]
    assert error_rate([(each.said, texts(events)) for each, events in zip(made, written, strict=True)]) < 0.25
    german = made[3:]
    translate = Hearing(task=Task.TRANSLATE, language="de")
    translated = [await hear(whisper, translate, each.samples.tobytes()) for each in german]
    assert error_rate([(each.english, texts(events)) for each, events in zip(german, translated, strict=True)]) < 0.5


@pytest.mark.parametrize(("temperature", "least_share", "most_errors"), [(0.0, 0.55, 0.2), (0.51, 0.75, 0.1)])
async def test_each_sentence_of_a_long_recording_has_the_moments_at_which_it_is_said(
    whisper: WorkerSpeechEngine, temperature: float, least_share: float, most_errors: float
) -> None:
    """What was written is given on to the next window; above 0.5, as in Whisper, it is not."""
    long = long_talk()
    assert long.seconds > 80
    wanted = Hearing(task=Task.TRANSCRIBE, language="en", temperature=temperature)
    events = await hear(whisper, wanted, *halves(long.samples))
    segments = [event for event in events if isinstance(event, HeardSegment)]
    assert events[-1].seconds == pytest.approx(long.seconds, abs=0.01)
    assert all(one.end <= other.start + 0.05 for one, other in pairwise(segments))
    assert error_rate([(long.said, texts(events))]) < most_errors
    assert num_found(long, segments) >= least_share * len(long.clips)
    assert segments[-1].start == pytest.approx(long.moments[-1][0], abs=5.0)


def long_talk() -> Talk:
    """Several windows of sentences with short pauses and longer ones."""
    said = clips("en") * 2
    return talk(said, [(0.4, 0.8, 3.0, 1.4, 6.0)[number % 5] for number in range(len(said) + 1)])


def halves(samples: np.ndarray) -> list[bytes]:
    """In windows of ten seconds, as the decoder gives them."""
    return [samples[first : first + 160_000].tobytes() for first in range(0, len(samples), 160_000)]


async def test_words_are_in_their_segments_and_in_their_order(whisper: WorkerSpeechEngine) -> None:
    said = talk(clips("en")[:3], [0.5, 0.8, 0.8, 0.5])
    events = await hear(whisper, Hearing(task=Task.TRANSCRIBE, has_words=True), said.samples.tobytes())
    segments = [event for event in events if isinstance(event, HeardSegment)]
    words = [word for each in segments for word in each.words]
    assert "".join(word.word for word in words) == texts(events)
    assert all(one.start <= one.end <= other.start + 0.02 for one, other in pairwise(words))
    assert words[0].start == pytest.approx(said.moments[0][0], abs=0.5)
    assert words[-1].end == pytest.approx(said.moments[-1][1], abs=0.5)


async def test_silence_and_pauses_have_no_text(whisper: WorkerSpeechEngine) -> None:
    quiet = np.random.default_rng(3).normal(0, 2, 40 * 16_000).astype(np.int16)
    for samples in (silence(1.0), silence(70.0), quiet):
        assert texts(await hear(whisper, TRANSCRIBE, samples.tobytes())) == ""


async def test_a_short_recording_is_told_before_a_long_one_that_came_first(whisper: WorkerSpeechEngine) -> None:
    order: list[str] = []

    async def heard(name: str, samples: np.ndarray) -> None:
        await hear(whisper, TRANSCRIBE, *halves(samples))
        order.append(name)

    long = asyncio.create_task(heard("long", np.tile(long_talk().samples, 2)))
    # The long one is being worked on before the short one is there.
    while not whisper.num_open:
        await asyncio.sleep(0)
    await asyncio.gather(long, heard("short", clips("en")[0].samples))
    assert order == ["short", "long"]


async def test_a_prompt_and_a_temperature_reach_the_model(alone) -> None:
    made = talks(8, seed=8)
    ensemble = Ensemble(WhisperRecognizer(worker_arguments(CLOSED, **NOTHING_FAILS)))
    prompt = clips("en")[5].said
    for each in made:
        expected, _ = heard_alone(alone, each.samples, initial_prompt=prompt, language="en", **ALONE_NOTHING_FAILS)
        [said] = ensemble.hear([each.samples], [wish(prompt=prompt, language="en")])
        assert [facts(segment, []) for segment in said] == expected
    [warm] = ensemble.hear([made[0].samples], [wish(temperature=0.4)])
    assert {segment.temperature for segment in warm} == {0.4}


def test_a_window_that_fails_climbs_the_ladder_as_faster_whispers_does(alone) -> None:
    """Thresholds that nothing meets: both end at the last temperature; such that all meet: both stay at the first."""
    said = clips("en")[3].samples
    for log_prob, temperature in ((-0.0001, 1.0), (-50.0, 0.0)):
        rules = Rules(log_prob=log_prob, no_speech=1.0, compression_ratio=1e3, max_repeats=0)
        found, _ = alone.transcribe(
            said.astype(np.float32) / 32_768,
            log_prob_threshold=rules.log_prob,
            no_speech_threshold=rules.no_speech,
            compression_ratio_threshold=rules.compression_ratio,
        )
        assert {each.temperature for each in found} == {temperature}
        strict = {name: getattr(rules, name) for name in ("log_prob", "no_speech", "compression_ratio", "max_repeats")}
        ensemble = Ensemble(WhisperRecognizer(worker_arguments(CLOSED, **strict)))
        [ours] = ensemble.hear([said], [wish()])
        assert {each.temperature for each in ours} == {temperature}
