"""The test model of speech while it learns: its tokens, its windows, its features, a run that is cut and goes on."""

import json
from itertools import islice
from pathlib import Path
from random import Random

import numpy as np
import pytest
import torch
from faster_whisper.feature_extractor import FeatureExtractor
from faster_whisper.tokenizer import Tokenizer as TheirTokenizer
from tokenizers import Tokenizer

from training.speech import tokenizer as layout
from training.speech.features import log_mel
from training.speech.loss import Vocabulary, loss_of
from training.speech.model import new_model
from training.speech.train import Trainer
from training.speech.voices import ACCENTS, HELD_OUT, SAMPLE_RATE, Voice, speak
from training.speech.windows import NOT_LEARNED, WINDOW_SECONDS, Window, WindowMaker
from training.speech.word_moments import Speaker
from training.tests.speech_builders import small_pool, small_run_folder


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_run_folder(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def tokenizer(run_folder: Path) -> Tokenizer:
    return Tokenizer.from_file(str(run_folder / "tokenizer.json"))


def windows(run_folder: Path, tokenizer: Tokenizer, count: int, *, seconds: float = 8.0) -> list[Window]:
    maker = WindowMaker(small_pool(run_folder), tokenizer, seconds=seconds, most_sentences=3)
    return list(islice(maker.windows(Random(3)), count))


def test_special_tokens_have_the_ids_of_every_multilingual_whisper(tokenizer: Tokenizer) -> None:
    # As published with whisper-tiny to whisper-large-v2.
    published = {
        "<|endoftext|>": 50_257,
        "<|startoftranscript|>": 50_258,
        "<|en|>": 50_259,
        "<|de|>": 50_261,
        "<|su|>": 50_357,
        "<|translate|>": 50_358,
        "<|transcribe|>": 50_359,
        "<|startofprev|>": 50_361,
        "<|notimestamps|>": 50_363,
        "<|0.00|>": 50_364,
        "<|30.00|>": 51_864,
    }
    assert {name: tokenizer.token_to_id(name) for name in published} == published
    assert tokenizer.get_vocab_size() == 51_865
    assert tokenizer.token_to_id("") == 50_256


def test_faster_whisper_finds_the_tokens_where_it_looks_for_them(tokenizer: Tokenizer) -> None:
    theirs = TheirTokenizer(tokenizer, multilingual=True, task="translate", language="de")
    assert theirs.sot_sequence == [layout.START_OF_TRANSCRIPT, layout.language_id("de"), layout.TRANSLATE]
    assert theirs.timestamp_begin == layout.timestamp_id(0.0) == layout.FIRST_TIMESTAMP
    assert (theirs.eot, theirs.no_speech) == (layout.END_OF_TEXT, layout.NO_SPEECH)


def test_text_comes_back_from_its_tokens_also_text_that_was_never_seen(tokenizer: Tokenizer) -> None:
    for text in (" Der König möchte Äpfel.", " Quiz: xylophone? 42 % — 你好"):
        assert tokenizer.decode(tokenizer.encode(text, add_special_tokens=False).ids) == text


def test_what_is_foretold_is_the_next_token_and_never_the_prompt_or_the_task(
    run_folder: Path, tokenizer: Tokenizer
) -> None:
    for window in windows(run_folder, tokenizer, 60):
        assert len(window.input_ids) == len(window.labels)
        start = window.input_ids.index(layout.START_OF_TRANSCRIPT)
        assert window.labels[:start] == [NOT_LEARNED] * start
        learned = [(place, label) for place, label in enumerate(window.labels) if label != NOT_LEARNED]
        for place, label in learned[:-1]:
            is_silent = label == layout.NO_SPEECH
            assert is_silent or window.input_ids[place + 1] == label
        assert learned[-1] == (len(window.labels) - 1, layout.END_OF_TEXT)
        assert layout.TRANSCRIBE not in window.labels
        assert layout.TRANSLATE not in window.labels


def moments(window: Window) -> tuple[list[int], list[int]]:
    """In steps of Whisper's clock: those of the prompt, and those that the decoder is to foretell."""
    start = window.input_ids.index(layout.START_OF_TRANSCRIPT)
    prompt, said = window.input_ids[:start], window.input_ids[start:]
    first = layout.FIRST_TIMESTAMP
    return [token - first for token in prompt if token >= first], [token - first for token in said if token >= first]


def test_moments_are_in_order_and_inside_the_window(run_folder: Path, tokenizer: Tokenizer) -> None:
    num_timed = 0
    for window in windows(run_folder, tokenizer, 60):
        _, said = moments(window)
        assert said == sorted(said)
        assert len(said) % 2 == 0
        if said:
            num_timed += 1
            assert said[-1] * layout.TIMESTAMP_SECONDS <= len(window.sound) / SAMPLE_RATE + 0.02
    assert num_timed >= 10


def test_a_sentence_that_the_end_of_whispers_window_cuts_has_a_beginning_and_no_end(
    run_folder: Path, tokenizer: Tokenizer
) -> None:
    maker = WindowMaker(small_pool(run_folder), tokenizer, seconds=WINDOW_SECONDS, most_sentences=40)
    num_cut = 0
    for window in islice(maker.windows(Random(3)), 60):
        assert len(window.sound) <= WINDOW_SECONDS * SAMPLE_RATE
        assert len(window.input_ids) <= 448
        _, said = moments(window)
        if len(said) % 2:
            num_cut += 1
            assert len(window.sound) == WINDOW_SECONDS * SAMPLE_RATE
            assert said == sorted(said)
            assert window.input_ids[-1] >= layout.FIRST_TIMESTAMP
            assert window.labels[-1] == layout.END_OF_TEXT
    assert num_cut >= 5


def test_prompts_come_with_moments_as_whisper_hands_them_on_and_without_as_people_write_them(
    run_folder: Path, tokenizer: Tokenizer
) -> None:
    prompted = [
        window for window in windows(run_folder, tokenizer, 120) if layout.START_OF_PREVIOUS in window.input_ids
    ]
    timed = [moments(window)[0] for window in prompted]
    assert len([each for each in timed if each]) >= 10
    assert len([each for each in timed if not each]) >= 5
    assert all(0 <= moment <= WINDOW_SECONDS / layout.TIMESTAMP_SECONDS for each in timed for moment in each)


def test_features_are_those_that_faster_whisper_computes() -> None:
    sound = np.random.default_rng(1).normal(0, 0.1, 5 * SAMPLE_RATE).astype(np.float32)
    theirs = FeatureExtractor()(sound)
    ours = log_mel([sound], 3_000)[0].numpy()
    length = min(theirs.shape[1], 500)
    np.testing.assert_allclose(ours[:, :length], theirs[:, :length], atol=2e-3)
    assert not ours[:, 501:].any()


def test_a_few_steps_on_the_same_windows_bring_the_loss_down(run_folder: Path, tokenizer: Tokenizer) -> None:
    torch.manual_seed(0)
    model, vocabulary = new_model(), Vocabulary()
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    batch = windows(run_folder, tokenizer, 4, seconds=4.0)
    losses = []
    for _ in range(8):
        loss = loss_of(model, batch, vocabulary, is_padded=False)
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]


def test_the_loss_of_a_window_that_is_filled_up_counts_the_same_tokens(run_folder: Path, tokenizer: Tokenizer) -> None:
    model, batch = new_model(), windows(run_folder, tokenizer, 2)
    with torch.no_grad():
        short, padded = (loss_of(model, batch, Vocabulary(), is_padded=is_padded) for is_padded in (False, True))
    # Random weights foretell nothing, whatever they hear.
    assert short.item() == pytest.approx(padded.item(), rel=0.1)


def test_a_run_that_was_cut_goes_on_from_its_checkpoint(run_folder: Path) -> None:
    Trainer(run_folder, 0.5).run()
    first = torch.load(run_folder / "last.pt", weights_only=True)
    assert first["progress"]["step"] >= 1
    spent = first["progress"]["trained_seconds"]
    # Nothing is left of the budget: nothing is learned.
    Trainer(run_folder, spent).run()
    assert torch.load(run_folder / "last.pt", weights_only=True)["progress"] == first["progress"]
    Trainer(run_folder, spent + 0.5).run()
    second = torch.load(run_folder / "last.pt", weights_only=True)
    assert second["progress"]["step"] > first["progress"]["step"]
    assert second["progress"]["num_windows"] > first["progress"]["num_windows"]
    name = "model.encoder.layers.0.fc1.weight"
    assert not torch.equal(first["model"][name], second["model"][name])
    assert not list(run_folder.glob("*.tmp"))
    entries = [json.loads(line) for line in (run_folder / "recordings" / "recordings.jsonl").read_text().splitlines()]
    assert {entry["language"] for entry in entries} == {"en", "de"}


def test_what_is_scored_is_spoken_as_what_was_taught_by_each_voice_of_its_own() -> None:
    speaker, text = Speaker(), "The king finds the white bird."
    for language, accents in ACCENTS.items():
        lengths = set()
        for accent in accents:
            for variant in HELD_OUT:
                voice = Voice(language=language, name=f"{accent}+{variant}", speed=150, pitch=50)
                spoken, taught = speaker.speak(text, voice).sound, speak(text, voice)
                assert len(spoken) == pytest.approx(len(taught), rel=0.02), voice.name
                lengths.add(len(taught))
        assert len(lengths) == len(accents) * len(HELD_OUT), "two voices are one"
    with pytest.raises(ValueError, match="xx-none"):
        speaker.speak(text, Voice(language="en", name="xx-none+f4", speed=150, pitch=50))
