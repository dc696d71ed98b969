"""What the recognizers ask of their runtimes, and what they make of the answers."""

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest

from parley.workers.ladder import Rules
from parley.workers.passages import Passage
from parley.workers.speech_loop import Unheard, Wish
from parley.workers.sphinx import SphinxRecognizer, between_pauses
from parley.workers.whisper import WhisperRecognizer

PASSAGE = Passage(0, 16_000, np.full(16_000, -32_768, np.int16))


@dataclass
class Word:
    word: str
    start: np.float64
    end: np.float64


class FakeModel:
    """faster-whisper, which says one segment, and keeps how it was asked. Its tokens are letters."""

    def __init__(self, temperature: float = 0.2) -> None:
        self.asked: dict[str, object] = {}
        self.temperature = temperature
        self.hf_tokenizer = SimpleNamespace(encode=lambda text, **_: SimpleNamespace(ids=[ord(each) for each in text]))

    def transcribe(self, samples, **asked):
        self.samples, self.asked = samples, asked
        words = [Word(" Guten", np.float64(0.25), np.float64(0.5))] if asked["word_timestamps"] else None
        figures = {"avg_logprob": -0.5, "compression_ratio": 1.25, "no_speech_prob": 0.125}
        figures |= {"temperature": self.temperature, "seek": 300}
        said = SimpleNamespace(text=" Guten", start=0.25, end=0.5, tokens=[1, 2], words=words, **figures)
        return iter([said]), SimpleNamespace(language="de")


def recognizer(model: object) -> WhisperRecognizer:
    made = WhisperRecognizer.__new__(WhisperRecognizer)
    made._model, made._rules = model, Rules(log_prob=-0.7)
    return made


def wish(**more) -> Wish:
    return Wish(
        **({"task": "transcribe", "language": None, "prompt": None, "temperature": 0.0, "has_words": False} | more)
    )


def test_whisper_gets_samples_between_minus_one_and_one():
    model = FakeModel()
    list(recognizer(model).hear(PASSAGE, wish()))
    assert (model.samples.dtype, model.samples.min()) == (np.float32, -1.0)


def test_whisper_climbs_the_ladder_only_where_no_temperature_was_named():
    model = FakeModel()
    list(recognizer(model).hear(PASSAGE, wish()))
    assert model.asked["temperature"] == [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    list(recognizer(model).hear(PASSAGE, wish(temperature=0.3)))
    assert model.asked["temperature"] == [0.3]


def test_whisper_is_told_what_was_asked_and_the_operators_thresholds():
    model, asked = FakeModel(), wish(task="translate", prompt=" Otto.", has_words=True)
    [said] = recognizer(model).hear(PASSAGE, asked)
    assert model.asked["task"] == "translate"
    assert model.asked["initial_prompt"] == [ord(each) for each in " Otto."]
    assert (model.asked["log_prob_threshold"], model.asked["compression_ratio_threshold"]) == (-0.7, 2.4)
    assert (said.words, said.seek) == ([(" Guten", 0.25, 0.5)], 300)
    assert type(said.words[0][1]) is float
    assert (said.avg_logprob, said.compression_ratio, said.no_speech_prob, said.temperature) == (-0.5, 1.25, 0.125, 0.2)


def test_what_was_said_goes_on_into_the_next_passage_unless_it_was_drawn_by_chance():
    sure, asked = FakeModel(), wish(prompt="A")
    for _ in range(2):
        list(recognizer(sure).hear(PASSAGE, asked))
    assert sure.asked["initial_prompt"] == [ord(" "), ord("A"), 1, 2]
    list(recognizer(FakeModel(temperature=0.6)).hear(PASSAGE, asked))
    list(recognizer(sure).hear(PASSAGE, asked))
    assert sure.asked["initial_prompt"] is None


def test_the_language_that_was_found_holds_for_the_rest_of_the_recording():
    model, asked = FakeModel(), wish()
    list(recognizer(model).hear(PASSAGE, asked))
    list(recognizer(model).hear(PASSAGE, asked))
    assert model.asked["language"] == asked.language == "de"


def test_a_runtime_that_fails_on_a_passage_has_not_heard_it():
    class Failing:
        def transcribe(self, samples, **asked):
            raise RuntimeError("out of memory")

    with pytest.raises(Unheard, match="out of memory"):
        list(recognizer(Failing()).hear(PASSAGE, wish()))


def test_pocketsphinx_words_lose_their_marks_and_part_at_pauses():
    spoken = [
        ("<s>", 0, 7, 1.0), ("and(2)", 8, 20, 0.5), ("so", 21, 30, 0.5), ("<sil>", 31, 80, 1.0), ("[NOISE]", 81, 90, 1.0),
        ("ask", 91, 99, 0.5), ("</s>", 100, 110, 1.0),
    ]  # fmt: skip
    assert [[word for word, *_ in group] for group in between_pauses(spoken)] == [["and", "so"], ["ask"]]
    assert between_pauses([("<s>", 0, 7, 1.0)]) == []


def test_pocketsphinx_hears_a_passage_by_one_call():
    sphinx = SphinxRecognizer.__new__(SphinxRecognizer)
    hearing = sphinx.hear(PASSAGE, asked := wish())
    call = next(hearing)
    call.answer = [("ask", 0, 9, 0.5)]
    assert ([each.text for each in hearing], asked.language) == ([" ask"], "en")
