"""Requests and streams per second with the echo engine, beside a bare application that answers itself."""

from pathlib import Path

import numpy as np

from bench.bare import NUM_CHUNKS
from bench.load import Load, Outcome, measured, request_text
from bench.processes import running, spent_by
from bench.report import Row
from tests.live import KEY, LiveServer, free_port, running_server

MODEL = "parley-echo"
NUM_CLIENTS = 16
# A stream long enough for its head and end to vanish in it.
NUM_MANY_CHUNKS = 1_000
REQUEST_GOAL = 3_000
STREAM_GOAL = 800
RATE = 500
ADDED_MILLISECONDS_GOALS = {50: 1.0, 99: 10.0}


def compare(folder: Path, *, num_passes: int, seconds: float) -> list[Row]:
    """Parley and the bare application beside each other, in turns."""
    folder.mkdir(parents=True)
    whole = {"model": MODEL, "messages": [{"role": "user", "content": "Hello"}]}
    streamed = {"model": MODEL, "messages": [{"role": "user", "content": "x" * NUM_CHUNKS}], "stream": True}
    requests: tuple[list[float], list[float]] = ([], [])
    streams: tuple[list[float], list[float]] = ([], [])
    longer = {**streamed, "messages": [{"role": "user", "content": "x" * NUM_MANY_CHUNKS}]}
    event_microseconds: list[float] = []
    stream_microseconds: list[float] = []
    added: dict[int, list[float]] = {50: [], 99: []}
    bare_port = free_port()
    with (
        running_server(folder, {"PARLEY_NUM_SLOTS": str(2 * NUM_CLIENTS)}) as parley,
        running("bench.bare", str(bare_port), address=bare_port),
    ):
        for port in (parley.port, bare_port):
            _apply(port, whole, seconds=0.5)
            _check(_apply(port, streamed, seconds=0.5))
        for _ in range(num_passes):
            paced = [_paced(port, whole, seconds=seconds) for port in (parley.port, bare_port)]
            for percentile, differences in added.items():
                ours, theirs = (np.percentile(outcome.reply_seconds, percentile) * 1000 for outcome in paced)
                differences.append(float(ours - theirs))
            for position, port in enumerate((parley.port, bare_port)):
                requests[position].append(_per_second(_apply(port, whole, seconds=seconds)))
            short, outcome = _stream_microseconds(parley, streamed, seconds=seconds)
            long, _ = _stream_microseconds(parley, longer, seconds=seconds)
            event_microseconds.append((long - short) / (NUM_MANY_CHUNKS - NUM_CHUNKS))
            stream_microseconds.append(short / NUM_CHUNKS)
            streams[0].append(_per_second(outcome))
            streams[1].append(_per_second(_apply(bare_port, streamed, seconds=seconds)))
    return [
        Row(
            measure=f"echo: requests, {NUM_CLIENTS} clients",
            unit="1/s",
            parley=requests[0],
            peer=requests[1],
            goal=REQUEST_GOAL,
            bounds_figure=True,
        ),
        Row(
            measure=f"echo: streams of {NUM_CHUNKS} chunks, {NUM_CLIENTS} clients",
            unit="1/s",
            parley=streams[0],
            peer=streams[1],
            goal=STREAM_GOAL,
            bounds_figure=True,
        ),
        Row(
            measure="echo: API process for one more token of a stream",
            unit="µs",
            parley=event_microseconds,
            goal=20,
            bounds_figure=True,
            is_less_better=True,
        ),
        Row(
            measure=f"echo: API process per token, a whole stream of {NUM_CHUNKS}",
            unit="µs",
            parley=stream_microseconds,
            is_less_better=True,
        ),
        *(
            Row(
                measure=f"echo: added latency at {RATE} requests/s, p{percentile}",
                unit="ms",
                parley=differences,
                goal=ADDED_MILLISECONDS_GOALS[percentile],
                bounds_figure=True,
                is_less_better=True,
            )
            for percentile, differences in added.items()
        ),
    ]


def _stream_microseconds(parley: LiveServer, body: object, *, seconds: float) -> tuple[float, Outcome]:
    """Processor time of Parley's own process for each stream."""
    before = spent_by(parley.process.pid)
    outcome = _apply(parley.port, body, seconds=seconds)
    return (spent_by(parley.process.pid) - before).own / outcome.num_replies * 1e6, outcome


def _paced(port: int, body: object, *, seconds: float) -> Outcome:
    """Requests at a steady rate, whatever the server does."""
    request = request_text("/v1/chat/completions", body, key=KEY)
    load = Load(address=port, requests=[request], num_clients=64, num_requests=int(RATE * seconds), rate=RATE)
    return measured(load)


def _apply(port: int, body: object, *, seconds: float) -> Outcome:
    request = request_text("/v1/chat/completions", body, key=KEY)
    return measured(Load(address=port, requests=[request], num_clients=NUM_CLIENTS, seconds=seconds))


def _per_second(outcome: Outcome) -> float:
    return outcome.num_replies / outcome.seconds


def _check(outcome: Outcome) -> None:
    """Both sides must send each token in an event of its own, or the streams are not alike."""
    if outcome.num_events < outcome.num_replies * NUM_CHUNKS:
        raise RuntimeError(
            f"{outcome.num_events} events in {outcome.num_replies} streams: {NUM_CHUNKS} each were expected"
        )
