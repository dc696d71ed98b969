"""Tokens per second and time to first token, through Parley and through the same engine's own server."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from types import MappingProxyType

import gguf
import numpy as np

from bench.load import Load, Outcome, measured, request_text
from bench.processes import running, spent_by, worker_options
from bench.report import Row
from tests.live import KEY, running_server

WORKER = "parley.workers.llama"
NUM_SLOTS = 32
PROMPT_TOKENS = 60
OUTPUT_TOKENS = 64
GOALS = {1: 0.92, 4: 0.92, 16: 0.97, 32: 0.97}
# As Parley sets it for its own worker: without it a busy neighbour stops the engine's spinning threads.
ENGINE_ENVIRONMENT = {"GOMP_SPINCOUNT": "1000", "GGML_NO_BACKTRACE": "1"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A model to measure with, and how many requests to send at each number of streams."""

    name: str
    path: Path
    # Whether Parley must be told of it; the shipped one it knows.
    is_added: bool
    num_requests: Mapping[int, int]


@dataclass(slots=True)
class Series:
    """What the runs at one number of streams gave, in order."""

    tokens_per_second: list[float] = field(default_factory=list)
    ttft_milliseconds: list[float] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        self.tokens_per_second.append(outcome.output_tokens / outcome.seconds)
        self.ttft_milliseconds.append(median(outcome.ttft_seconds) * 1000)


class Prompts:
    """Random prompts of token ids, never the same twice, and never an end before the last token."""

    def __init__(self, path: Path) -> None:
        reader = gguf.GGUFReader(path)
        self._num_tokens = len(reader.fields["tokenizer.ggml.tokens"].data)
        # A model may end with more than one token; all that can are control tokens.
        kinds = reader.fields["tokenizer.ggml.token_type"].contents()
        self._ends = [token_id for token_id, kind in enumerate(kinds) if kind == gguf.TokenType.CONTROL]
        self._random = np.random.default_rng(7)

    @property
    def ends(self) -> list[int]:
        """The tokens that could end a reply."""
        return self._ends

    def ids(self, length: int) -> list[int]:
        """One prompt."""
        ids: list[int] = self._random.integers(300, self._num_tokens, size=length).tolist()
        return ids

    def bodies(self, count: int) -> list[dict[str, object]]:
        """Bodies of streaming completions, as Parley and the engine's server both take them."""
        return [self.body(self.ids(PROMPT_TOKENS)) for _ in range(count)]

    def body(self, prompt: list[int]) -> dict[str, object]:
        """The body of a streaming completion of this prompt."""
        return {
            "model": "text-davinci-003",
            "prompt": prompt,
            "max_tokens": OUTPUT_TOKENS,
            "temperature": 0,
            "logit_bias": {str(token_id): -100 for token_id in self._ends},
            "stream": True,
            "stream_options": {"include_usage": True},
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Servers:
    """Parley and its peer on one model, with the same settings. `apply` measures a load on one of them."""

    parley_port: int
    parley_pid: int
    peer_socket: str
    prompts: Prompts

    def apply(self, address: int | str, bodies: Sequence[Mapping[str, object]], *, num_clients: int) -> Outcome:
        """Send every body once. Raises RuntimeError when not every token came that was asked for."""
        key = KEY if isinstance(address, int) else ""
        requests = [request_text("/v1/completions", body, key=key) for body in bodies]
        load = Load(
            address=address,
            requests=requests,
            num_clients=num_clients,
            num_requests=len(bodies),
            keeps_connections=False,
        )
        outcome = measured(load)
        wanted = len(bodies) * OUTPUT_TOKENS
        if outcome.output_tokens != wanted:
            raise RuntimeError(f"{outcome.output_tokens} tokens came from {address}, {wanted} were asked for")
        return outcome


@contextmanager
def parley_alone(model: Model, folder: Path, settings: Mapping[str, str] = MappingProxyType({})) -> Iterator[Servers]:
    """Parley with further PARLEY_* variables, which has answered once; its peer is not started."""
    folder.mkdir(parents=True)
    with running_server(folder, {"PARLEY_NUM_SLOTS": str(NUM_SLOTS), **settings}) as parley:
        if model.is_added:
            _add(model.path, parley.data)
        both = Servers(
            parley_port=parley.port,
            parley_pid=parley.process.pid,
            peer_socket=str(folder / "peer.sock"),
            prompts=Prompts(model.path),
        )
        both.apply(both.parley_port, both.prompts.bodies(1), num_clients=1)
        yield both


@contextmanager
def servers(model: Model, folder: Path) -> Iterator[Servers]:
    """Both servers, each of which has answered once."""
    with parley_alone(model, folder) as both:
        socket = both.peer_socket
        options = worker_options(both.parley_pid, WORKER) | {"socket": socket}
        with running("bench.llama_peer", json.dumps(options), address=socket, environment=ENGINE_ENVIRONMENT):
            both.apply(socket, both.prompts.bodies(1), num_clients=1)
            yield both


def compare(model: Model, folder: Path, *, num_passes: int) -> list[Row]:
    """Both servers beside each other on one model, in turns, at each number of streams."""
    ours = {streams: Series() for streams in model.num_requests}
    theirs = {streams: Series() for streams in model.num_requests}
    api_seconds, api_tokens = 0.0, 0
    with servers(model, folder) as both:
        for _ in range(num_passes):
            for streams, num_requests in model.num_requests.items():
                before = spent_by(both.parley_pid)
                outcome = both.apply(both.parley_port, both.prompts.bodies(num_requests), num_clients=streams)
                api_seconds += (spent_by(both.parley_pid) - before).own
                api_tokens += outcome.output_tokens
                ours[streams].add(outcome)
                bodies = both.prompts.bodies(num_requests)
                theirs[streams].add(both.apply(both.peer_socket, bodies, num_clients=streams))
    rows = [row for streams in model.num_requests for row in _rows(model, streams, ours[streams], theirs[streams])]
    cost = Row(
        measure=f"{model.name}: API process per token",
        unit="µs",
        parley=[api_seconds / api_tokens * 1e6],
        goal=50,
        bounds_figure=True,
        is_less_better=True,
    )
    return [*rows, cost]


def _rows(model: Model, streams: int, ours: Series, theirs: Series) -> list[Row]:
    return [
        Row(
            measure=f"{model.name}: {streams} streams",
            unit="tokens/s",
            parley=ours.tokens_per_second,
            peer=theirs.tokens_per_second,
            goal=GOALS[streams],
        ),
        Row(
            measure=f"{model.name}: {streams} streams, TTFT",
            unit="ms",
            parley=ours.ttft_milliseconds,
            peer=theirs.ttft_milliseconds,
            is_less_better=True,
        ),
    ]


def _add(path: Path, data: Path) -> None:
    """Tell the running server of a model; every name points at it from then on."""
    command = [sys.executable, "-m", "parley.cli.main", "models", "add", str(path)]
    subprocess.run(command, env=os.environ | {"PARLEY_DATA": str(data)}, check=True, stdout=subprocess.DEVNULL)
