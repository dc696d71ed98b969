"""The circuit for copying that a model starts with."""

from pathlib import Path
from random import Random

import torch

from training.copying import start_copying
from training.model import Llama, ModelShape
from training.rows import collate, primer_row
from training.tests.builders import small_encoder
from training.tokenizer import PieceEncoder


def _share_of_copies_guessed(model: Llama, encoder: PieceEncoder) -> float:
    random = Random(3)
    batch = collate([primer_row(encoder, random) for _ in range(50)], encoder.padding)
    is_learned = batch.targets != -100
    with torch.no_grad():
        guesses = model.logits(model(batch.ids, batch.positions)[is_learned]).argmax(dim=-1)
    return (guesses == batch.targets[is_learned]).float().mean().item()


def test_a_fresh_model_copies_most_tokens_before_any_training(tmp_path: Path) -> None:
    encoder = small_encoder(tmp_path / "tokenizer.json")
    torch.manual_seed(0)
    model = Llama(ModelShape(vocabulary_size=encoder.vocabulary_size))
    assert _share_of_copies_guessed(model, encoder) < 0.1
    start_copying(model)
    assert _share_of_copies_guessed(model, encoder) > 0.5
