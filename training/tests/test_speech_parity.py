"""The committed Whisper in PyTorch and in CTranslate2: the same numbers, the same words; and both converters write the same."""

import json
from pathlib import Path

import ctranslate2
import numpy as np
import pytest
import torch
from ctranslate2.converters import TransformersConverter
from transformers import WhisperForConditionalGeneration

from parley.workers.convert_whisper import convert
from tests.builders_closed import CLOSED, clips
from tests.whisper_forms import transformers_form
from training.speech import tokenizer as layout
from training.speech.features import log_mel
from training.speech.held_out import write_recordings
from training.speech.voices import SAMPLE_RATE

_MOST_TOKENS = 40


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The committed weights in transformers' form, their int8 as floats."""
    return transformers_form(CLOSED, tmp_path_factory.mktemp("closed") / "transformers")


@pytest.fixture(scope="module")
def in_torch(checkpoint: Path) -> WhisperForConditionalGeneration:
    return WhisperForConditionalGeneration.from_pretrained(checkpoint).eval()


@pytest.fixture(scope="module")
def in_ctranslate2(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> ctranslate2.models.Whisper:
    folder = tmp_path_factory.mktemp("ctranslate2") / "float32"
    TransformersConverter(str(checkpoint)).convert(str(folder), quantization="float32")
    return ctranslate2.models.Whisper(str(folder), device="cpu", compute_type="float32")


def _features(samples: np.ndarray) -> torch.Tensor:
    return log_mel([samples.astype(np.float32) / 32_768], 3_000)


@pytest.mark.parametrize("language", ["en", "de"])
def test_every_next_token_is_as_likely_in_both(
    in_torch: WhisperForConditionalGeneration, in_ctranslate2: ctranslate2.models.Whisper, language: str
) -> None:
    prompt = [layout.START_OF_TRANSCRIPT, layout.language_id(language), layout.TRANSCRIBE, layout.NO_TIMESTAMPS]
    for clip in clips(language):
        features = _features(clip.samples)
        view = ctranslate2.StorageView.from_array(features.numpy())
        [found] = in_ctranslate2.generate(
            view, [prompt], beam_size=1, max_length=_MOST_TOKENS, return_logits_vocab=True, suppress_blank=False
        )
        [written] = found.sequences_ids
        with torch.no_grad():
            logits = in_torch(input_features=features, decoder_input_ids=torch.tensor([prompt + written])).logits[0]
        ours = logits[len(prompt) - 1 :].log_softmax(-1)
        [theirs] = found.logits
        for place, row in enumerate(theirs[: len(written)]):
            likely = torch.from_numpy(np.array(row)).float().reshape(-1).log_softmax(-1)
            best = ours[place].topk(20).indices
            torch.testing.assert_close(ours[place][best], likely[best], atol=5e-3, rtol=1e-3)


@pytest.mark.parametrize("task", [layout.TRANSCRIBE, layout.TRANSLATE])
def test_both_write_the_same(
    in_torch: WhisperForConditionalGeneration, in_ctranslate2: ctranslate2.models.Whisper, task: int
) -> None:
    same = []
    for clip in clips("de"):
        features = _features(clip.samples)
        prompt = [layout.START_OF_TRANSCRIPT, layout.language_id("de"), task, layout.NO_TIMESTAMPS]
        view = ctranslate2.StorageView.from_array(features.numpy())
        [found] = in_ctranslate2.generate(
            view, [prompt], beam_size=1, max_length=_MOST_TOKENS, suppress_blank=False, suppress_tokens=[]
        )
        same.append(_greedy(in_torch, features, prompt) == found.sequences_ids[0])
    # Where two tokens are as likely to the last digit, either may be written.
    assert sum(same) >= len(same) - 1


def _greedy(model: WhisperForConditionalGeneration, features: torch.Tensor, prompt: list[int]) -> list[int]:
    ids = list(prompt)
    with torch.no_grad():
        encoded = model.model.encoder(features)
        while len(ids) < _MOST_TOKENS:
            logits = model(encoder_outputs=encoded, decoder_input_ids=torch.tensor([ids])).logits[0, -1]
            token = int(logits.argmax())
            if token == layout.END_OF_TEXT:
                break
            ids.append(token)
    return ids[len(prompt) :]


def test_our_converter_writes_what_ctranslate2s_own_writes(checkpoint: Path, tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    ours.mkdir()
    convert(checkpoint, ours)
    TransformersConverter(
        str(checkpoint), copy_files=["tokenizer.json", "preprocessor_config.json"], load_as_float16=True
    ).convert(str(theirs), quantization="float16")
    assert (ours / "model.bin").read_bytes() == (theirs / "model.bin").read_bytes()
    assert json.loads((ours / "vocabulary.json").read_text()) == json.loads((theirs / "vocabulary.json").read_text())
    written, expected = (json.loads((folder / "config.json").read_text()) for folder in (ours, theirs))
    # Where nothing is suppressed theirs may write null, which says the same.
    assert written == {name: [] if value is None else value for name, value in expected.items()}


def test_the_committed_recordings_are_spoken_anew_the_same(tmp_path: Path) -> None:
    write_recordings(tmp_path / "recordings")
    spoken = [json.loads(line) for line in (tmp_path / "recordings" / "index.jsonl").read_text().splitlines()]
    committed = [*clips("en"), *clips("de")]
    assert [(each["language"], each["said"], each["english"]) for each in spoken] == [
        (each.language, each.said, each.english) for each in committed
    ]
    assert all(0.5 < each.seconds <= 4.0 for each in committed)
    assert SAMPLE_RATE == 16_000
