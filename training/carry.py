"""Starts a run from the weights of another one, whose tokenizer was a different one.

`python -m training.carry --from-dir OLD --run-dir NEW --minutes-done 26`; then `training.train --run-dir NEW` goes on from there.
The blocks are taken as they are. A token that both vocabularies have keeps its embedding; a new one begins as the mean of
the old tokens that spell it.
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import torch
from tokenizers import Tokenizer

from training import checkpoint
from training.checkpoint import Progress
from training.model import Llama
from training.optimizer import Optimizer
from training.train import load_or_train_tokenizer


@torch.no_grad()
def carried(model: Llama, old: Tokenizer, new: Tokenizer) -> Llama:
    """A model over the new vocabulary with the old one's blocks. Both tokenizers are byte-level."""
    vocabulary: dict[str, int] = new.get_vocab()
    made = Llama(replace(model.shape, vocabulary_size=len(vocabulary)))
    weights = {name: tensor for name, tensor in model.state_dict().items() if not name.startswith("embedding.")}
    made.load_state_dict(weights, strict=False)
    for token, place in vocabulary.items():
        made.embedding.weight[place] = model.embedding.weight[_spelled_by(token, old)].mean(dim=0)
    return made


def _spelled_by(token: str, old: Tokenizer) -> list[int]:
    """The old ids that a token of the new vocabulary consists of."""
    known = old.token_to_id(token)
    if known is not None:
        return [known]
    # A token's own spelling has one sign for each byte; the merges join signs, so the model may be asked directly.
    return [piece.id for piece in old.model.tokenize(token)]


def main(arguments: list[str]) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Start a run from another run's weights, with a tokenizer of its own.")
    parser.add_argument("--from-dir", type=Path, required=True, help="the folder of the run whose best model is taken")
    parser.add_argument("--run-dir", type=Path, required=True, help="the new run's folder")
    parser.add_argument(
        "--minutes-done", type=float, default=0, help="minutes of the new schedule that count as done: no warm-up"
    )
    options = parser.parse_args(arguments)
    load_or_train_tokenizer(options.run_dir)
    old, new = (Tokenizer.from_file(str(folder / "tokenizer.json")) for folder in (options.from_dir, options.run_dir))
    model, _ = checkpoint.load_model(options.from_dir / "best.pt")
    made = carried(model, old, new)
    progress = Progress(trained_seconds=60 * options.minutes_done)
    checkpoint.save(options.run_dir / "last.pt", made, Optimizer(made), progress)


if __name__ == "__main__":
    main(sys.argv[1:])
