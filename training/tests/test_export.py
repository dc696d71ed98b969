"""The files that we write: llama.cpp computes what PyTorch computes."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from training.export import Precision, write_gguf, write_safetensors
from training.tests.builders import small_encoder, small_model
from training.tests.llama import running_llama
from training.weights import gguf_tensors, published_tensors

_PROMPTS = ("What is 1+1?", "Hello!", "Extract name and age as JSON: Anna is 31.", "你好")


@pytest.mark.parametrize(("precision", "tolerance"), [(Precision.F32, 3e-3), (Precision.F16, 6e-3)])
def test_log_probabilities_of_llama_cpp_equal_ours(tmp_path: Path, precision: Precision, tolerance: float) -> None:
    encoder = small_encoder(tmp_path / "tokenizer.json")
    model = small_model(encoder.vocabulary_size)
    write_gguf(model, tmp_path / "tokenizer.json", tmp_path / "model.gguf", precision)
    with running_llama(tmp_path / "model.gguf") as llama:
        for prompt in _PROMPTS:
            ids = encoder.content(prompt)
            with torch.no_grad():
                scores = model.logits(model(torch.tensor([ids]), torch.arange(len(ids))[None]))[0, -1].log_softmax(-1)
            for token, theirs in llama.next_log_probabilities(ids, 20).items():
                assert scores[token].item() == pytest.approx(theirs, abs=tolerance)


def test_the_small_precision_is_a_quarter_of_the_full_one(tmp_path: Path) -> None:
    encoder = small_encoder(tmp_path / "tokenizer.json")
    model = small_model(encoder.vocabulary_size)
    sizes = {}
    for precision in (Precision.F32, Precision.Q8_0):
        write_gguf(model, tmp_path / "tokenizer.json", tmp_path / "model.gguf", precision)
        sizes[precision] = (tmp_path / "model.gguf").stat().st_size
    assert sizes[Precision.Q8_0] < 0.6 * sizes[Precision.F32]
    assert list(tmp_path.glob("*.tmp")) == []


def test_published_weights_hold_every_tensor_once_and_say_their_shape(tmp_path: Path) -> None:
    encoder = small_encoder(tmp_path / "tokenizer.json")
    model = small_model(encoder.vocabulary_size)
    write_safetensors(model, tmp_path / "tokenizer.json", tmp_path / "published")
    tensors = load_file(tmp_path / "published" / "model.safetensors")
    assert sum(tensor.numel() for tensor in tensors.values()) == model.num_parameters()
    assert torch.equal(
        tensors["model.layers.1.self_attn.q_proj.weight"], model.state_dict()["blocks.1.attention.query.weight"]
    )
    assert (
        json.loads((tmp_path / "published" / "config.json").read_text())["num_hidden_layers"] == model.shape.num_layers
    )


def test_both_layouts_have_the_same_number_of_tensors() -> None:
    model = small_model(64)
    assert len(list(gguf_tensors(model))) == len(list(published_tensors(model))) == 2 + 9 * model.shape.num_layers
