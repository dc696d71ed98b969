"""The load: a lean HTTP/1.1 client in a process of its own, so that what it costs is not counted to the server.

Started as `python -m bench.load`; reads one `Load` as JSON from standard input and writes one `Outcome` to standard output.
"""

import asyncio
import json
import re
import resource
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from itertools import cycle, islice

from bench.client import Client, Driver

HOST = "127.0.0.1"
OUTPUT_TOKENS = re.compile(rb'"completion_tokens": ?(\d+)')
PATIENCE_SECONDS = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """`requests` are whole HTTP requests, sent in turn by `num_clients` clients.

    With `rate`, requests are due that many times a second, whatever the server does (`num_requests` of them, on kept
    connections). Without it each client waits for its reply and sends the next, until `num_requests` are sent, or with None
    until `seconds` are over, when what is on its way is not counted.
    """

    # A port of 127.0.0.1, or the path of a Unix socket.
    address: int | str
    requests: list[str]
    num_clients: int
    num_requests: int | None = None
    seconds: float | None = None
    rate: float | None = None
    keeps_connections: bool = True

    def texts(self) -> Iterator[bytes]:
        """Each request to send, in turn."""
        return islice(cycle([text.encode() for text in self.requests]), self.num_requests)


@dataclass(slots=True, kw_only=True)
class Outcome:
    num_replies: int = 0
    seconds: float = 0.0
    # Server-sent events that carried something, and the tokens that the replies' usage counted.
    num_events: int = 0
    output_tokens: int = 0
    # Seconds from when a request was due to the first event with text, and to the end of the reply.
    ttft_seconds: list[float] = field(default_factory=list)
    reply_seconds: list[float] = field(default_factory=list)
    # Processor seconds of the load itself.
    cpu_seconds: float = 0.0

    def add(self, body: bytes, due: float, first: float | None, now: float) -> None:
        """Count one reply."""
        self.num_replies += 1
        self.reply_seconds.append(now - due)
        if first is not None:
            self.ttft_seconds.append(first - due)
        self.num_events += body.count(b"\ndata: {") + body.startswith(b"data: {")
        counted = OUTPUT_TOKENS.findall(body)
        if counted:
            self.output_tokens += int(counted[-1])


class ClosedLoop:
    """Each client sends its next request when it has the reply to its last."""

    def __init__(self, load: Load) -> None:
        self.outcome = Outcome()
        self.finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._texts = load.texts()
        self._num_open = load.num_clients
        self._started = time.perf_counter()
        self._deadline = None if load.seconds is None else self._started + load.seconds

    def is_ready(self, client: Client) -> None:
        now = time.perf_counter()
        text = None if self._is_over(now) else next(self._texts, None)
        if text is not None:
            client.send(text, now)
            return
        client.finish()
        self._num_open -= 1
        if self._num_open == 0 and not self.finished.done():
            self.finished.set_result(None)

    def take(self, body: bytes, due: float, first: float | None) -> None:
        now = time.perf_counter()
        if not self._is_over(now):
            self.outcome.add(body, due, first, now)
            self.outcome.seconds = now - self._started

    def fail(self, reason: str) -> None:
        _fail(self.finished, reason)

    def _is_over(self, now: float) -> bool:
        return self._deadline is not None and now >= self._deadline


class OpenLoop:
    """Requests are due at a steady rate. A late one is timed from when it was due, so that waiting is not hidden."""

    def __init__(self, load: Load, rate: float) -> None:
        self.outcome = Outcome()
        self.finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._rate = rate
        self._texts = list(load.texts())
        self._num_clients = load.num_clients
        self._clients: list[Client] = []
        # In turns, so that none idles for so long that the server closes it.
        self._idle: deque[Client] = deque()
        self._late: deque[tuple[bytes, float]] = deque()
        self._started = 0.0
        self._num_due = 0

    def is_ready(self, client: Client) -> None:
        if self._late:
            client.send(*self._late.popleft())
            return
        self._idle.append(client)
        if not self._started and len(self._idle) == self._num_clients:
            self._clients = list(self._idle)
            self._started = time.perf_counter()
            self._release()

    def _release(self) -> None:
        """Send, or put off, what is due by now; come back when the next one is."""
        now = time.perf_counter()
        while self._num_due < len(self._texts) and self._due_at(self._num_due) <= now:
            request = self._texts[self._num_due], self._due_at(self._num_due)
            self._num_due += 1
            if self._idle:
                self._idle.popleft().send(*request)
            else:
                self._late.append(request)
        if self._num_due < len(self._texts):
            asyncio.get_running_loop().call_later(max(self._due_at(self._num_due) - now, 0), self._release)

    def _due_at(self, number: int) -> float:
        return self._started + number / self._rate

    def take(self, body: bytes, due: float, first: float | None) -> None:
        now = time.perf_counter()
        self.outcome.add(body, due, first, now)
        self.outcome.seconds = now - self._started
        if self.outcome.num_replies == len(self._texts) and not self.finished.done():
            self.finished.set_result(None)
            for client in self._clients:
                client.finish()

    def fail(self, reason: str) -> None:
        _fail(self.finished, reason)


def _fail(finished: asyncio.Future[None], reason: str) -> None:
    if not finished.done():
        finished.set_exception(RuntimeError(reason))


async def apply(load: Load) -> Outcome:
    """Run the load to its end."""
    driver = ClosedLoop(load) if load.rate is None else OpenLoop(load, load.rate)
    async with asyncio.timeout(PATIENCE_SECONDS), asyncio.TaskGroup() as group:
        for _ in range(load.num_clients):
            group.create_task(_client(load, driver))
        await driver.finished
    spent = resource.getrusage(resource.RUSAGE_SELF)
    outcome = driver.outcome
    outcome.cpu_seconds = spent.ru_utime + spent.ru_stime
    if load.seconds is not None:
        outcome.seconds = load.seconds
    return outcome


async def _client(load: Load, driver: Driver) -> None:
    """One client to its end; where connections are not kept, on one connection after another."""
    is_done = False
    while not is_done:
        client = await _connect(load, driver)
        try:
            await client.closed
        finally:
            client.close()
        is_done = client.is_done


async def _connect(load: Load, driver: Driver) -> Client:
    loop = asyncio.get_running_loop()

    def make() -> Client:
        return Client(driver, keeps_connection=load.keeps_connections)

    if isinstance(load.address, str):
        _, client = await loop.create_unix_connection(make, load.address)
    else:
        _, client = await loop.create_connection(make, HOST, load.address)
    return client


def measured(load: Load) -> Outcome:
    """The outcome of a load that ran in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.load"],
        input=json.dumps(asdict(load)),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=PATIENCE_SECONDS + 30,
    )
    return Outcome(**json.loads(done.stdout))


def request_text(path: str, body: object, *, key: str = "") -> str:
    """A whole HTTP/1.1 request with a JSON body."""
    payload = json.dumps(body)
    head = f"POST {path} HTTP/1.1\r\nhost: {HOST}\r\ncontent-type: application/json\r\n"
    authorization = f"authorization: Bearer {key}\r\n" if key else ""
    return f"{head}{authorization}content-length: {len(payload)}\r\n\r\n{payload}"


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asdict(asyncio.run(apply(Load(**json.load(sys.stdin)))))))
