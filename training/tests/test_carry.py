"""A model carried over to another tokenizer."""

from itertools import islice
from pathlib import Path

import torch
from tokenizers import Tokenizer

from training import carry, checkpoint
from training.checkpoint import Progress
from training.corpus.draw import Side
from training.corpus.registry import samples
from training.samples import layout
from training.tests.builders import small_encoder, small_model
from training.tokenizer import plain, train_tokenizer


def _other_tokenizer(path: Path) -> Tokenizer:
    drawn = islice(samples(5, Side.TRAIN), 500)
    tokenizer = train_tokenizer((plain(piece.text) for sample in drawn for piece in layout(sample)), 700)
    tokenizer.save(str(path))
    return tokenizer


def test_blocks_and_shared_tokens_stay_and_new_tokens_begin_as_the_mean_of_their_pieces(tmp_path: Path) -> None:
    old_run, new_run = tmp_path / "old", tmp_path / "new"
    old_run.mkdir()
    new_run.mkdir()
    encoder = small_encoder(old_run / "tokenizer.json")
    model = small_model(encoder.vocabulary_size)
    checkpoint.save(old_run / "best.pt", model, None, Progress(step=9))
    new = _other_tokenizer(new_run / "tokenizer.json")
    carry.main(["--from-dir", str(old_run), "--run-dir", str(new_run), "--minutes-done", "2"])
    made, progress = checkpoint.load_model(new_run / "last.pt")
    assert progress == Progress(trained_seconds=120)
    torch.testing.assert_close(made.blocks.state_dict(), model.blocks.state_dict())
    old = Tokenizer.from_file(str(old_run / "tokenizer.json"))
    seen = set()
    for token, place in new.get_vocab().items():
        ids = [old.token_to_id(token)] if token in old.get_vocab() else encoder.content(new.decode([place]))
        if "\ufffd" not in new.decode([place], skip_special_tokens=False):
            torch.testing.assert_close(made.embedding.weight[place], model.embedding.weight[ids].mean(dim=0))
            seen.add(len(ids))
    assert {1, 2} <= seen
