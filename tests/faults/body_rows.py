"""Row F13 and its twin, a reply that is long: whatever one request costs, the others are answered meanwhile."""

import http.client
import json
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.hostile_bodies import COMPLETIONS, MOST, Row
from tests.faults.process_rows import Figure, Scale, at_most, exactly
from tests.faults.wire import post
from tests.live import LiveServer, running_server

NUM_TEXTS = 50
# So many others at least are answered while it lasts; one that waits for the end of it is alone.
LEAST_BEATS = 3


@dataclass
class Beats:
    """Requests of somebody else, one after another, for as long as it lasts: how long each took, in seconds."""

    seconds: list[float] = field(default_factory=list)
    statuses: set[int] = field(default_factory=set)

    def figures(self, row: str, what: str) -> list[Figure]:
        slowest = sorted(self.seconds)[int(0.99 * (len(self.seconds) - 1))] if self.seconds else float("inf")
        return [
            exactly(row, f"{what}: answers to the others", {200}, self.statuses),
            exactly(
                row,
                f"{what}: others answered meanwhile, at least {LEAST_BEATS}",
                True,
                len(self.seconds) >= LEAST_BEATS,
            ),
            at_most(row, f"{what}: how long the others waited, p99", 0.1, slowest, " s", is_timing=True),
        ]


@contextmanager
def heartbeat(server: LiveServer) -> Iterator[Beats]:
    """What others see of `/health` while the body runs. One that ends after it does not count."""
    beats = Beats()
    is_over = threading.Event()

    def beat() -> None:
        while not is_over.is_set():
            begun = time.perf_counter()
            with closing(http.client.HTTPConnection(server.host, server.port, timeout=120)) as connection:
                connection.request("GET", "/health")
                status = connection.getresponse().status
            if not is_over.is_set():
                beats.statuses.add(status)
                beats.seconds.append(time.perf_counter() - begun)
            is_over.wait(0.01)

    thread = threading.Thread(target=beat)
    thread.start()
    try:
        yield beats
    finally:
        is_over.set()
        thread.join()


def exchange(server: LiveServer, row: Row) -> tuple[int, bytes]:
    headers = {**server.headers, "content-type": "application/json"}
    with closing(http.client.HTTPConnection(server.host, server.port, timeout=120)) as connection:
        connection.request("POST", row.path, row.body, headers)
        reply = connection.getresponse()
        return reply.status, reply.read()


def long_texts(server: LiveServer) -> list[Figure]:
    """Texts of four megabytes, all at once; each part of some of them could fit, so that all of it is tokenised."""
    prompts: list[object] = ["a" * MOST, ["the cat " * 6_000] * (MOST // 50_000)]
    base = {"model": "text-davinci-003", "max_tokens": 1}
    bodies = [json.dumps(base | {"prompt": prompt}).encode() for prompt in prompts]
    heavy = [Row(name="parallel", path=COMPLETIONS, body=bodies[number % 25 == 0]) for number in range(NUM_TEXTS)]
    statuses: list[int] = []
    with heartbeat(server) as beats:
        threads = [threading.Thread(target=lambda row=row: statuses.append(exchange(server, row)[0])) for row in heavy]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    what = f"{NUM_TEXTS} texts of 4 MB at once"
    return [exactly("F13", f"{what}: refused", NUM_TEXTS, statuses.count(400)), *beats.figures("F13", what)]


def long_reply(server: LiveServer) -> list[Figure]:
    """Half a million scored candidates are some 15 MB of JSON."""
    prompt = [300 + number % 500 for number in range(4_000)]
    body = {"model": "text-davinci-003", "prompt": prompt, "max_tokens": 0, "echo": True, "logprobs": 5, "n": 20}
    with heartbeat(server) as beats:
        status, reply = post(server, COMPLETIONS, body)
    num_scored = sum(len(choice["logprobs"]["tokens"]) for choice in reply["choices"])
    what = "a reply of 15 MB"
    return [
        exactly("F13", f"{what}: status and scored tokens", (200, 80_000), (status, num_scored)),
        *beats.figures("F13", what),
    ]


async def f13(folder: Path, _scale: Scale) -> list[Figure]:
    """The same at every size: it is the one that the row names."""
    with running_server(folder) as server:
        return long_texts(server) + long_reply(server)
