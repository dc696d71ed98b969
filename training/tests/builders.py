"""Small models and tokenizers for the tests of training."""

from itertools import islice
from pathlib import Path

import torch

from training.corpus.draw import Side
from training.corpus.registry import samples
from training.model import Llama, ModelShape
from training.samples import layout
from training.tokenizer import PieceEncoder, plain, train_tokenizer


def small_encoder(path: Path) -> PieceEncoder:
    """A tokenizer of the corpus with a small vocabulary, saved at `path` as well."""
    drawn = islice(samples(0, Side.TRAIN), 2000)
    texts = (plain(piece.text) for sample in drawn for piece in layout(sample))
    train_tokenizer(texts, vocabulary_size=640).save(str(path))
    return PieceEncoder.load(path)


def small_model(vocabulary_size: int) -> Llama:
    """A random model of two layers in the shape of the real one."""
    torch.manual_seed(1)
    shape = ModelShape(
        vocabulary_size=vocabulary_size, width=64, num_layers=2, num_heads=4, num_kv_heads=2, hidden_width=96
    )
    model = Llama(shape)
    with torch.no_grad():
        for parameter in model.parameters():
            # Larger than at the start of training, so that a wrong tensor shows.
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model.eval()
