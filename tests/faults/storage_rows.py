"""The faults of storage, row by row: a power cut, a full disk, a log that grows, a large ledger. See `process_rows`."""

import asyncio
import http.client
import json
import re
import shutil
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import aiohttp
from msgspec import structs

from parley.domain.billing.model import REVENUE, EntryKind, Posting
from parley.domain.billing.store import ledger
from parley.domain.usage.service import UsageRecords
from parley.infra.db import Database
from tests.builders_faults import FaultyServer, faulty_server
from tests.builders_records import usage_record
from tests.faults.fake_engine.knobs import Knobs
from tests.faults.process_rows import Figure, Scale, at_most, exactly, within
from tests.faults.wire import get, post, records
from tests.live import LiveServer, running_server
from tests.small_disk import NotHere, fill, small_disk

MODEL = "alpha"
REQUEST: dict[str, Any] = {"model": MODEL, "prompt": [10, 11], "max_tokens": 4}
HAS_STRACE = shutil.which("strace") is not None
NO_STRACE = "strace is not installed (Debian: apt-get install strace); the order of fsync and reply is not looked at"

# Of a trace: what is synced or written, and the file or the bytes.
_CALL = re.compile(r"^\d+\s+(?P<call>\w+)\((?P<rest>.*)$")
_RESUMED = re.compile(r"^(?P<thread>\d+)\s+<\.\.\. (?P<call>\w+) resumed>")
_MIB = 1 << 20


async def b1(folder: Path, scale: Scale) -> list[Figure]:
    """A start on a large ledger, behind a kill."""
    num_bytes = scale.pick(4 * _MIB, 1024 * _MIB)
    with faulty_server(folder, {MODEL: Knobs()}) as server:
        path = server.live.data / "parley.db"
    num_entries = await grow(path, num_bytes)
    times = []
    for _ in range(scale.pick(1, 5)):
        begin = time.monotonic()
        with faulty_server(folder, {MODEL: Knobs()}) as server:
            times.append(time.monotonic() - begin)
            server.live.process.kill()
            server.live.process.wait()
    label = f"from the start to ready, {num_entries:,} entries, {path.stat().st_size // _MIB} MiB (median)"
    return [within("B1", label, 2.0, sorted(times)[len(times) // 2])]


async def grow(path: Path, num_bytes: int) -> int:
    """Fill the database with settled requests up to a size; how many."""
    num_requests = 0
    async with await Database.open(path) as database:
        usage = UsageRecords(database)
        while path.stat().st_size < num_bytes:
            ids = [f"req_{number:024d}" for number in range(num_requests, num_requests + 5_000)]

            def settle(transaction: Any, ids: list[str] = ids) -> None:
                usage.keep(
                    transaction.connection, [structs.replace(usage_record(each), charge_nano=42) for each in ids]
                )
                ledger.post(transaction.connection, [_charge(number, each) for number, each in enumerate(ids)])

            await database.transaction(settle)
            num_requests += len(ids)
    return num_requests


def _charge(number: int, request_id: str) -> Posting:
    return Posting(
        key=f"charge:{request_id}:0",
        kind=EntryKind.CHARGE,
        at=number,
        debit=f"open:org-{number % 50}",
        credit=REVENUE,
        amount_nano=42,
        note=request_id,
    )


async def b2(folder: Path, scale: Scale) -> list[Figure]:
    """Is the ledger on the disk before the last byte is on the wire? The kernel's own account of the order tells."""
    if not HAS_STRACE:
        raise NotHere(NO_STRACE)
    num_requests = scale.pick(20, 200)
    trace = folder / "trace"
    calls = "fdatasync,fsync,pwrite64,write,writev,sendto,sendmsg"
    under = ("strace", "-D", "-f", "-y", "-s", "4000", "-e", f"trace={calls}", "-o", str(trace))
    answered = []
    with running_server(folder, under=under) as server:
        for number in range(num_requests):
            body = {"model": "parley-echo", "prompt": "abcd", "max_tokens": 4, "stream": number % 2 == 0}
            answered.append(await asyncio.to_thread(_request_id_of, server, body))
    synced = replies_behind_their_sync(trace.read_text(errors="replace").splitlines(), answered)
    return [exactly("B2", "replies whose log was written and synced before their last byte", num_requests, synced)]


def _request_id_of(server: LiveServer, body: dict[str, Any]) -> str:
    connection = http.client.HTTPConnection(server.host, server.port, timeout=30)
    with closing(connection):
        headers = server.headers | {"content-type": "application/json"}
        connection.request("POST", "/v1/completions", json.dumps(body), headers)
        reply = connection.getresponse()
        reply.read()
        return reply.headers["x-request-id"]


def replies_behind_their_sync(lines: list[str], request_ids: list[str]) -> int:
    """How many of the replies, sent one after another, ended after a write to the log and its sync had returned.

    A call counts when it has returned, a send when it begins.
    """
    pending: dict[str, str] = {}
    waiting = iter(request_ids)
    wanted, has_begun = next(waiting, None), False
    is_written = is_synced = False
    num_behind = 0
    for line in lines:
        thread = line.partition(" ")[0]
        if resumed := _RESUMED.match(line):
            begun = pending.pop(thread, "")
            is_written, is_synced = _after(resumed["call"], begun, is_written, is_synced)
            continue
        found = _CALL.match(line)
        if found is None:
            continue
        call, rest = found["call"], found["rest"]
        if wanted is not None and call in {"write", "writev", "sendto", "sendmsg"}:
            has_begun = has_begun or wanted in rest
            # Streams end with an empty chunk, other replies with their body.
            if has_begun and (_ends_stream(rest) or '"usage"' in rest or '\\"usage\\"' in rest):
                num_behind += is_synced
                wanted, has_begun, is_written, is_synced = next(waiting, None), False, False, False
        if "<unfinished ...>" in rest:
            pending[thread] = rest
        else:
            is_written, is_synced = _after(call, rest, is_written, is_synced)
    return num_behind


def _ends_stream(rest: str) -> bool:
    return "[DONE]" in rest or '"0\\r\\n\\r\\n"' in rest


def _after(call: str, rest: str, is_written: bool, is_synced: bool) -> tuple[bool, bool]:
    """What of the log is written and synced once this call has returned."""
    if "parley.db-wal" not in rest:
        return is_written, is_synced
    if call == "pwrite64":
        return True, False
    return is_written, is_synced or (is_written and call in {"fdatasync", "fsync"})


async def b3(folder: Path, scale: Scale) -> list[Figure]:
    """The disk fills up under load, and is freed again."""
    del scale
    with small_disk(folder / "disk", megabytes=32) as disk:
        # An engine that cannot write its journal would end, which is another fault.
        with faulty_server(disk, {MODEL: Knobs(tokens_per_second=40)}, fakes=folder / "fakes") as server:
            async with Load(server) as load:
                stream = load.send({**REQUEST, "max_tokens": 160, "stream": True})
                await load.until(lambda: load.num_whole > 20)
                await asyncio.to_thread(fill, disk / "ballast")
                await load.until(lambda: 503 in load.statuses)
                await load.stop()
                reads = [(await asyncio.to_thread(get, server.live, path))[0] for path in READS]
                await stream
                freed_at = time.monotonic()
                (disk / "ballast").unlink()
                while (await asyncio.to_thread(post, server.live, "/v1/completions", REQUEST))[0] != 200:
                    await asyncio.sleep(0.1)
                recovered_after = time.monotonic() - freed_at
            kept = {row["request_id"] for row in records(server.live)}
            refusals = load.refusals
        with closing(sqlite3.connect(disk / "data" / "parley.db")) as database:
            soundness = database.execute("PRAGMA integrity_check").fetchone()[0]
    return [
        exactly("B3", "whole replies without a record, the stream among them", 0, len(load.answered - kept)),
        exactly("B3", "statuses while the disk is full", {503}, set(load.statuses) - {200}),
        exactly("B3", "refusals without Retry-After", 0, sum(after is None for after in refusals)),
        exactly("B3", "statuses of what only reads", [200] * len(READS), reads),
        exactly("B3", "SQLite's own check afterwards", "ok", soundness),
        within("B3", "from the room to the next reply", 5.0, recovered_after),
    ]


READS = ("/v1/models", "/health", "/v1/organization/costs?start_time=1", "/v1/organization/projects")


class Load:
    """Clients that ask one after another, until they are stopped."""

    def __init__(self, server: FaultyServer, *, num_clients: int = 4) -> None:
        self._server = server
        self._num_clients = num_clients
        self._is_over = False
        self._clients: list[asyncio.Task[None]] = []
        self.answered: set[str] = set()
        self.statuses: list[int] = []
        self.refusals: list[str | None] = []

    async def __aenter__(self) -> "Load":
        self._session = aiohttp.ClientSession(headers=self._server.live.headers)
        self._clients = [asyncio.create_task(self._ask_on()) for _ in range(self._num_clients)]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()
        await self._session.close()

    @property
    def num_whole(self) -> int:
        return len(self.answered)

    def send(self, body: dict[str, Any]) -> "asyncio.Task[None]":
        """One request more."""
        return asyncio.create_task(self._ask(body))

    async def until(self, look: Callable[[], bool]) -> None:
        async with asyncio.timeout(120):
            while not look():
                await asyncio.sleep(0.02)

    async def stop(self) -> None:
        self._is_over = True
        await asyncio.gather(*self._clients)

    async def _ask_on(self) -> None:
        while not self._is_over:
            await self._ask(REQUEST)

    async def _ask(self, body: dict[str, Any]) -> None:
        async with self._session.post(f"{self._server.live.base_url}/completions", json=body) as reply:
            received = await reply.read()
            self.statuses.append(reply.status)
            if reply.status != 200:
                self.refusals.append(reply.headers.get("retry-after"))
            elif not body.get("stream") or received.rstrip().endswith(b"data: [DONE]"):
                self.answered.add(reply.headers["x-request-id"])


async def b7(folder: Path, scale: Scale) -> list[Figure]:
    """A reader stays on an old state of the database while requests are settled."""
    seconds = scale.pick(2, 60)
    longest = 0
    with faulty_server(folder, {MODEL: Knobs(tokens_per_second=2000)}, settings={"PARLEY_NUM_SLOTS": "64"}) as server:
        path, log = server.live.data / "parley.db", server.live.data / "parley.db-wal"
        async with Load(server, num_clients=scale.pick(4, 32)) as load:
            with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None)) as reader:
                reader.execute("BEGIN")
                reader.execute("SELECT count(*) FROM ledger_entries").fetchone()
                end = time.monotonic() + seconds
                while time.monotonic() < end:
                    longest = max(longest, log.stat().st_size)
                    await asyncio.sleep(0.1)
            num_before = load.num_whole
            await load.until(lambda: load.num_whole > num_before)
    return [
        at_most("B7", f"MiB of write-ahead log with a reader of {seconds} s", 256, longest / _MIB),
        exactly("B7", "statuses meanwhile that are neither 200 nor 503", set(), set(load.statuses) - {200, 503}),
    ]
