"""Held-out scores in PyTorch: every skill's questions from the held-out side, answered greedily and compared exactly.

These are other cases than those of the model card: what is chosen here is not what is reported there.
The training loop calls it; `python -m training.score --run-dir DIR` scores a checkpoint without a server.
"""

import argparse
import sys
from collections import defaultdict
from pathlib import Path

from training import checkpoint
from training.generate import greedy
from training.held_out import CHOOSING_SEED, held_out_cases
from training.model import Llama
from training.run_log import DEFAULT_RUN_DIR
from training.samples import Case, Completion, answer_pieces, completion_prompt, dialogue_prompt
from training.tokenizer import PieceEncoder

_ROWS_AT_ONCE = 32
_MAX_TOKENS = 96


def score_all(model: Llama, encoder: PieceEncoder, cases_per_skill: int) -> dict[str, float]:
    """The share of exact answers per skill. A conversation counts when all of its answers, after the true ones, are exact."""
    right: dict[str, list[bool]] = defaultdict(list)
    cases = [case for skill in held_out_cases(cases_per_skill, CHOOSING_SEED).values() for case in skill]
    prompts, expected, owners = _questions(cases, encoder)
    # The same text can be written with other tokens; the text is what counts.
    order = sorted(range(len(prompts)), key=lambda place: len(prompts[place]))
    is_right = [True] * len(cases)
    model.eval()
    for start in range(0, len(order), _ROWS_AT_ONCE):
        rows = order[start : start + _ROWS_AT_ONCE]
        answers = greedy(model, [prompts[row] for row in rows], encoder.end_of_generation, _MAX_TOKENS)
        for row, answer in zip(rows, answers, strict=True):
            is_right[owners[row]] &= encoder.decode(answer) == encoder.decode(expected[row])
    model.train()
    for case, was_right in zip(cases, is_right, strict=True):
        right[case.skill].append(was_right)
    return {skill: sum(results) / len(results) for skill, results in right.items()}


def _questions(cases: list[Case], encoder: PieceEncoder) -> tuple[list[list[int]], list[list[int]], list[int]]:
    """Prompt ids, the ids of the true answer, and the case that each belongs to."""
    prompts: list[list[int]] = []
    expected: list[list[int]] = []
    owners: list[int] = []
    for place, case in enumerate(cases):
        for prompt, answer in _turns(case, encoder):
            prompts.append(prompt)
            expected.append(answer)
            owners.append(place)
    return prompts, expected, owners


def _turns(case: Case, encoder: PieceEncoder) -> list[tuple[list[int], list[int]]]:
    if isinstance(case, Completion):
        return [(encoder.encode(completion_prompt(case))[0], encoder.content(case.answer))]
    turns = []
    for place, message in enumerate(case.messages):
        if message.role == "assistant":
            prompt = encoder.encode(dialogue_prompt(case.messages[:place], case.tools))[0]
            turns.append((prompt, encoder.encode(answer_pieces(message))[0]))
    return turns


def main(arguments: list[str]) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Score a checkpoint on the held-out set, without a server.")
    parser.add_argument("--run-dir", type=Path, default=DEFAULT_RUN_DIR)
    parser.add_argument("--checkpoint", default="best.pt", help="a file of the run's folder")
    parser.add_argument("--cases", type=int, default=200, help="cases per skill")
    options = parser.parse_args(arguments)
    model, _ = checkpoint.load_model(options.run_dir / options.checkpoint)
    scores = score_all(model, PieceEncoder.load(options.run_dir / "tokenizer.json"), options.cases)
    for skill, score in sorted(scores.items()):
        print(f"{skill:20} {score:6.1%}")


if __name__ == "__main__":
    main(sys.argv[1:])
