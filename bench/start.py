"""From `parley serve` to the first answer, on a new data folder and on a used one; what it weighs idle; how long Ctrl-C takes."""

import http.client
import json
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from bench.processes import resident_megabytes
from bench.report import Row
from tests.live import KEY, running_server

SECOND_START_GOAL_SECONDS = 3.0
IDLE_GOAL_MEGABYTES = 150
STOP_GOAL_SECONDS = 2.0
# What a server that has answered does before it is weighed.
IDLE_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """One start of the product, to its end by Ctrl-C."""

    answer_seconds: float
    idle_megabytes: float
    stop_seconds: float


def measure(folder: Path, *, num_passes: int) -> list[Row]:
    """Each pass starts twice on a data folder of its own."""
    lives: list[tuple[Life, Life]] = []
    for number in range(num_passes):
        place = folder / str(number)
        place.mkdir(parents=True)
        lives.append((_live(place), _live(place)))
    both = [life for pair in lives for life in pair]
    return [
        Row(
            measure="start: first start to its first answer",
            unit="s",
            parley=[first.answer_seconds for first, _ in lives],
        ),
        Row(
            measure="start: second start to its first answer",
            unit="s",
            parley=[second.answer_seconds for _, second in lives],
            goal=SECOND_START_GOAL_SECONDS,
            bounds_figure=True,
            is_less_better=True,
        ),
        Row(
            measure="start: memory of the idle API process",
            unit="MB",
            parley=[life.idle_megabytes for life in both],
            goal=IDLE_GOAL_MEGABYTES,
            bounds_figure=True,
            is_less_better=True,
        ),
        Row(
            measure="start: Ctrl-C to the end",
            unit="s",
            parley=[life.stop_seconds for life in both],
            goal=STOP_GOAL_SECONDS,
            bounds_figure=True,
            is_less_better=True,
        ),
    ]


def _live(folder: Path) -> Life:
    started = time.monotonic()
    with running_server(folder) as parley:
        _ask(parley.port)
        answered = time.monotonic()
        time.sleep(IDLE_SECONDS)
        megabytes = resident_megabytes(parley.process.pid)
        stopped = time.monotonic()
        parley.process.send_signal(signal.SIGINT)
        code = parley.process.wait(30)
        if code:
            raise RuntimeError(f"the server ended with {code} after Ctrl-C")
        return Life(
            answer_seconds=answered - started,
            idle_megabytes=megabytes,
            stop_seconds=time.monotonic() - stopped,
        )


def _ask(port: int) -> None:
    """One chat completion on the model that ships."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    body = json.dumps({"model": "gpt-3.5-turbo", "messages": [{"role": "user", "content": "Say this is a test!"}]})
    headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
    connection.request("POST", "/v1/chat/completions", body, headers)
    response = connection.getresponse()
    reply = json.loads(response.read())
    connection.close()
    if response.status != http.client.OK or not reply["choices"][0]["message"]["content"]:
        raise RuntimeError(f"the server answered {response.status}: {reply}")
