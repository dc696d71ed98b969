"""`make bench`: every comparison in one run, one table at the end."""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from bench import (
    abort,
    closed,
    edge,
    fairness,
    gateway,
    litellm_peer,
    one_at_a_time,
    prefix,
    speech,
    start,
    text,
    windows,
)
from bench.probe_model import probe_model
from bench.processes import machine_seconds, run_seconds
from bench.report import Row, machine_line, table

HERE = Path(__file__).parent
SHIPPED = HERE.parent / "src" / "parley" / "bundled" / "parley-mini.gguf"
PARTS = ("start", "echo", "gateway", "fairness", "probe", "shipped", "cost", "prefix", "abort", "speech")
# Requests at each number of streams, so that each run takes some seconds: probe is the slow model.
PROBE_REQUESTS = {1: 6, 4: 12, 16: 32, 32: 64}
SHIPPED_REQUESTS = {1: 20, 4: 40, 16: 96, 32: 128}


def measure(parts: list[str], folder: Path, *, is_quick: bool) -> Iterator[list[Row]]:
    """The rows of each part, as they come."""
    num_passes = 1 if is_quick else 3
    if "start" in parts:
        _say("start, idle memory and stop")
        yield start.measure(folder / "start", num_passes=num_passes)
    if "echo" in parts:
        _say("echo engine beside a bare application")
        yield edge.compare(folder / "echo", num_passes=num_passes, seconds=2.0 if is_quick else 4.0)
    if "gateway" in parts:
        _say("everything on beside the LiteLLM proxy")
        program = litellm_peer.install(HERE / ".cache")
        if program is not None:
            yield gateway.compare(program, folder / "gateway", num_passes=num_passes, seconds=4.0)
    if "fairness" in parts:
        _say("neighbours of a flood")
        yield fairness.measure(folder / "fairness", num_passes=num_passes, seconds=40.0)
    yield from _measure_models(parts, folder, num_passes=num_passes, num_tries=4 if is_quick else 10)
    if "speech" in parts:
        _say("speech as it ships, on a real speaker")
        yield speech.measure(folder / "speech", num_passes=num_passes)
        _say("Whisper that knows its words beside faster-whisper, one file at a time")
        yield closed.compare(folder / "closed", num_passes=num_passes)
        _say("Whisper of a true size beside faster-whisper, one file at a time")
        yield windows.compare(folder / "windows", num_passes=num_passes, long_seconds=300.0 if is_quick else 3_600.0)


def _measure_models(parts: list[str], folder: Path, *, num_passes: int, num_tries: int) -> Iterator[list[Row]]:
    """The rows of the parts that generate text with a model."""
    if "probe" in parts:
        _say("189 M random weights beside the engine's own server")
        path = probe_model(HERE / ".cache")
        model = text.Model(name="probe 189M q8_0", path=path, is_added=True, num_requests=PROBE_REQUESTS)
        yield text.compare(model, folder / "probe", num_passes=num_passes)
    if "shipped" in parts:
        _say("the shipped model beside the engine's own server")
        model = text.Model(name="parley-mini", path=SHIPPED, is_added=False, num_requests=SHIPPED_REQUESTS)
        yield text.compare(model, folder / "shipped", num_passes=num_passes)
    if "cost" in parts:
        _say("a token of many streams beside one request at a time")
        yield one_at_a_time.compare(HERE / ".cache", folder / "cost", num_passes=num_passes)
    if "prefix" in parts:
        _say("shared beginnings beside the engine's own server")
        path = probe_model(HERE / ".cache", context_length=abort.CONTEXT_LENGTH)
        model = text.Model(name="probe 189M q8_0", path=path, is_added=True, num_requests={})
        yield prefix.compare(model, folder / "prefix-probe", num_passes=1)
        model = text.Model(name="parley-mini", path=SHIPPED, is_added=False, num_requests={})
        yield prefix.compare(model, folder / "prefix-shipped", num_passes=num_passes)
    if "abort" in parts:
        _say("aborts, from the client's leaving to the free slot")
        path = probe_model(HERE / ".cache", context_length=abort.CONTEXT_LENGTH)
        yield abort.measure("probe 189M q8_0", path, num_tries=num_tries)
        yield abort.measure("parley-mini", SHIPPED, num_tries=num_tries)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one pass of each comparison instead of three")
    parser.add_argument("part", nargs="*", help=f"one of {', '.join(PARTS)}; all of them without")
    arguments = parser.parse_args()
    parts = arguments.part or list(PARTS)
    if unknown := set(parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    started, busy_before, run_before = time.monotonic(), machine_seconds(), run_seconds()
    machine = machine_line()
    with tempfile.TemporaryDirectory(prefix="parley-bench-") as folder:
        rows = [row for part in measure(parts, Path(folder), is_quick=arguments.quick) for row in part]
    seconds = time.monotonic() - started
    # What others took while we measured: on a busy machine only the ratios mean something, and they less than usual.
    others = (machine_seconds() - busy_before - (run_seconds() - run_before)) / seconds
    told = f"Medians; peers in turns in one run of {seconds:.0f} s; other programs used {max(others, 0):.2f} cores."
    report = f"{table(rows)}\n\n{machine}\n{told}\n"
    print(report)
    results = HERE / "results"
    results.mkdir(exist_ok=True)
    (results / f"{datetime.now(UTC):%Y-%m-%dT%H-%M-%S}.md").write_text(report)


def _say(line: str) -> None:
    print(f"measuring: {line} ...", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
