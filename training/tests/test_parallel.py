"""Processes that train together: they agree on gradients and numbers, and end together."""

from functools import partial
from pathlib import Path

import torch
from torch import nn

from training.parallel import ALONE, Peers, run_together


def _write_averages(folder: Path, peers: Peers) -> None:
    parameter = nn.Parameter(torch.zeros(2, 2))
    without_gradient = nn.Parameter(torch.zeros(3))
    parameter.grad = torch.full((2, 2), float(peers.rank))
    facts = peers.average([parameter, without_gradient], [10.0 * peers.rank, 1.0])
    copied = torch.tensor([7.0 if peers.is_first else 0.0])
    peers.copy_from_first([copied])
    (folder / str(peers.rank)).write_text(f"{parameter.grad.tolist()} {facts} {copied.item()}")


def test_all_processes_have_the_mean_gradient_the_mean_numbers_and_the_first_ones_weights(tmp_path: Path) -> None:
    run_together(2, partial(_write_averages, tmp_path))
    expected = f"{[[0.5, 0.5], [0.5, 0.5]]} {[5.0, 1.0]} 7.0"
    assert [(tmp_path / rank).read_text() for rank in "01"] == [expected, expected]


def test_one_process_alone_keeps_its_gradient() -> None:
    parameter = nn.Parameter(torch.zeros(2))
    parameter.grad = torch.ones(2)
    assert ALONE.average([parameter], [3.0]) == [3.0]
    assert parameter.grad.tolist() == [1.0, 1.0]
