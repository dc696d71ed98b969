"""What a token costs when many share the engine, beside generating for one request at a time with transformers.

Twice: with the engine as it ships on weights of a byte, and with the one that `make native` builds on the same weights in two
bytes, for which the processor may have instructions that the shipped one does without.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from bench.probe_model import Kind, probe_model
from bench.report import Row
from bench.text import OUTPUT_TOKENS, PROMPT_TOKENS, Model, Prompts, parley_alone
from parley.core.llama_library import SUPPORTED_VERSION

# An environment with torch and transformers; `make test-train` makes it.
PYTHON = Path(__file__).parent.parent / ".venv-train" / "bin" / "python"
NATIVE = Path(sys.prefix) / f"llama-{SUPPORTED_VERSION}"
NUM_STREAMS = 32
NUM_REQUESTS = 64
GOAL = 0.1
# Weights are unpacked to each of these, and the faster one is the peer.
_KINDS = ("float32", "bfloat16")
_PEER_REQUESTS = 2


def compare(cache: Path, folder: Path, *, num_passes: int) -> list[Row]:
    """Milliseconds a token, everything counted; what cannot be compared is left out, with the reason told."""
    if not PYTHON.exists():
        print("left out: one request at a time: `make test-train` makes the environment with torch", file=sys.stderr)
        return []
    shipped = _row("as shipped, q8_0", probe_model(cache), folder / "shipped", num_passes, settings={})
    if not NATIVE.exists():
        print("left out: llama.cpp built for this processor: `make native` makes it", file=sys.stderr)
        return [shipped]
    path = probe_model(cache, kind=Kind.BF16)
    native = _row(
        "make native, bf16", path, folder / "native", num_passes, settings={"PARLEY_LLAMA_BUILD": str(NATIVE)}
    )
    return [shipped, native]


def _row(build: str, path: Path, folder: Path, num_passes: int, settings: Mapping[str, str]) -> Row:
    model = Model(name="probe 189M", path=path, is_added=True, num_requests={})
    prompts = Prompts(path)
    ours: list[float] = []
    theirs: list[float] = []
    with parley_alone(model, folder, settings) as server:
        for _ in range(num_passes):
            outcome = server.apply(server.parley_port, prompts.bodies(NUM_REQUESTS), num_clients=NUM_STREAMS)
            ours.append(outcome.seconds / outcome.output_tokens * 1000)
            theirs.append(min(_milliseconds(path, prompts, kind) for kind in _KINDS))
    return Row(
        measure=f"{model.name}, {build}: a token at {NUM_STREAMS} streams (peer: generate, one at a time)",
        unit="ms",
        parley=ours,
        peer=theirs,
        goal=GOAL,
        is_less_better=True,
    )


def _milliseconds(path: Path, prompts: Prompts, kind: str) -> float:
    """What a token costs the peer, the first request left out."""
    with _generating(path, kind) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        seconds = 0.0
        for number in range(1 + _PEER_REQUESTS):
            process.stdin.write(json.dumps([prompts.ids(PROMPT_TOKENS), OUTPUT_TOKENS]) + "\n")
            process.stdin.flush()
            answer = process.stdout.readline()
            if not answer:
                raise RuntimeError(f"training.one_at_a_time ended with {process.wait()}")
            seconds += float(answer) if number else 0.0
    return seconds / (_PEER_REQUESTS * OUTPUT_TOKENS) * 1000


@contextmanager
def _generating(path: Path, kind: str) -> Iterator[subprocess.Popen[str]]:
    num_threads = str(len(os.sched_getaffinity(0)))
    process = subprocess.Popen(
        [str(PYTHON), "-m", "training.one_at_a_time", str(path), kind, num_threads],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
