"""Several processes that train one model: each takes its own batches, and all take the same step.

On a busy machine this is quicker than threads: threads wait for each other after every matrix, processes once a step.
"""

import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import Tensor, multiprocessing, nn
from torch import distributed as dist

# A run may be suspended for a while, and one process may score while the others wait.
_PATIENCE = timedelta(hours=2)


@dataclass(frozen=True, slots=True)
class Peers:
    """The processes of a run: how many, and which of them this one is. The first one writes the files."""

    rank: int = 0
    count: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this process logs, scores and saves."""
        return self.rank == 0

    def average(self, parameters: list[nn.Parameter], facts: list[float]) -> list[float]:
        """Averages the gradients in place, and with them a few numbers on which the processes must agree."""
        if self.count == 1:
            return facts
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        joined = torch.cat([*(gradient.flatten() for gradient in gradients), torch.tensor(facts)])
        dist.all_reduce(joined)
        joined /= self.count
        sizes = [gradient.numel() for gradient in gradients]
        *parts, agreed = joined.split([*sizes, len(facts)])
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_(part.view_as(gradient))
        return [float(fact) for fact in agreed]

    def copy_from_first(self, tensors: list[Tensor]) -> None:
        """Gives every process the first one's numbers."""
        if self.count > 1:
            for tensor in tensors:
                dist.broadcast(tensor, src=0)


ALONE = Peers()


def run_together(num_processes: int, work: Callable[[Peers], None]) -> None:
    """Calls `work`, which must be picklable, in that many processes: here as the first of them, and in new ones.

    When this process is cut, the others find their connection closed and end by themselves.
    """
    if num_processes == 1:
        work(ALONE)
        return
    port = _free_port()
    others = multiprocessing.start_processes(  # type: ignore[no-untyped-call]  # torch leaves it untyped
        _follow, (num_processes, port, work), nprocs=num_processes - 1, join=False, daemon=True
    )
    _joined(Peers(0, num_processes), port, work)
    while not others.join():
        pass


def _follow(index: int, count: int, port: int, work: Callable[[Peers], None]) -> None:
    _joined(Peers(index + 1, count), port, work)


def _joined(peers: Peers, port: int, work: Callable[[Peers], None]) -> None:
    # The processes talk over the loopback device only; gloo asks nothing but the environment for it.
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")  # noqa: TID251 - see above
    address = f"tcp://127.0.0.1:{port}"
    dist.init_process_group("gloo", init_method=address, rank=peers.rank, world_size=peers.count, timeout=_PATIENCE)
    try:
        work(peers)
    finally:
        dist.destroy_process_group()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
