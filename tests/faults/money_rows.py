"""The faults of money, row by row: held against the engine's own journal. See `process_rows` for how a row is run."""

import asyncio
import random
import signal
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from tests.builders_faults import faulty_server
from tests.faults.failpoints import LABELS
from tests.faults.fake_engine.journal import read_truth
from tests.faults.fake_engine.knobs import Knobs
from tests.faults.money_trial import MODEL, NOTHING, Asked, Ending, Trial, prepare, rest, run_lives, run_trial
from tests.faults.money_truth import Verdict, judge, tokens_by_number
from tests.faults.process_rows import SEED, Figure, Scale, at_least, exactly, within
from tests.faults.test_money import CHARGE, METERED, REQUEST, balance, crowd, parley, top_up
from tests.faults.test_money import prepare as set_prices
from tests.faults.wire import eventually, leave, read_until, records, send
from tests.live import LiveServer, running_server
from tests.postgres import MISSING, is_installed, running_cluster
from tests.small_disk import NotHere

_PARALLEL = 16


def sound(row: str, trial: Trial, verdict: Verdict) -> list[Figure]:
    """What every trial must come to."""
    return [
        exactly(row, f"lost, of {verdict.num_whole:,} whole replies", 0, len(verdict.lost)),
        exactly(row, f"lost, of {len(trial.payments)} payments that were confirmed", 0, len(verdict.lost_payments)),
        exactly(row, "clients that waited in vain", 0, len(verdict.hung)),
        exactly(row, f"double, of {verdict.num_records:,} records", 0, len(verdict.double)),
        exactly(row, "accounts below nothing after an entry, or above a budget", 0, len(verdict.negative)),
        exactly(
            row, f"untrue, of {verdict.num_exact:,} records that must be the engine's count", 0, len(verdict.untrue)
        ),
        exactly(row, "replies that were charged as other than they came", 0, len(verdict.misread)),
        exactly(row, "cut requests with more tokens than were generated", 0, len(verdict.overcharged)),
        exactly(row, "charges that are not usage times price", 0, len(verdict.miscounted)),
        exactly(row, "replies of an error alone that cost something", 0, len(verdict.paid_errors)),
        exactly(row, "findings of `parley ledger verify`", 0, len(verdict.findings)),
        exactly(row, "holds on the disk at the end", 0, verdict.num_held),
        exactly(row, "held for each organization at idle", {NOTHING}, set(trial.held_at_idle)),
    ]


async def a1(folder: Path, scale: Scale) -> list[Figure]:
    """Two hundred clients at once against money for fifty, again and again."""
    num_rounds = scale.pick(1, 100)
    # What refuses here is money alone.
    (folder / "data").mkdir(mode=0o700)
    (folder / "data" / "tiers.toml").write_text('[paid]\nrequests_per_minute = "none"\ntokens_per_minute = "none"\n')
    with running_server(folder, METERED) as server:
        await asyncio.to_thread(set_prices, server, 0)
        seen, balances = set(), set()
        for _ in range(num_rounds):
            await asyncio.to_thread(top_up, server, 50 * CHARGE)
            statuses = [status for status, _ in await crowd(server, [REQUEST] * 200)]
            seen.add((statuses.count(200), statuses.count(429)))
            balances.add(balance(server.data))
        num_records = len(records(server))
    verdict = await asyncio.to_thread(parley, folder / "data", "ledger", "verify")
    return [
        exactly("A1", f"answered and refused in each of {num_rounds} rounds", {(50, 150)}, seen),
        exactly("A1", "balance after each of them", {0}, balances),
        exactly("A1", "usage records", 50 * num_rounds, num_records),
        exactly("A1", "exit of `parley ledger verify`", 0, verdict.returncode),
    ]


async def a3(folder: Path, scale: Scale) -> list[Figure]:
    """Clients that cut their streams anywhere, half by FIN and half by RST."""
    num_streams, chance = scale.pick(40, 1_000), random.Random(SEED)
    trial = await asyncio.to_thread(prepare, folder, seed=SEED)
    room, delays = asyncio.Semaphore(_PARALLEL), list[float]()

    async def cut(server: LiveServer, number: int) -> None:
        asked = Asked(
            number=number,
            payer=trial.payers[0],
            is_stream=True,
            num_sequences=chance.choice((1, 1, 2, 3)),
            max_tokens=500,
            leaves_after=0.0,
        )
        num_frames, how = chance.choice((0, 1, 2, 5, 20, 60)), chance.choice(("FIN", "RST"))
        trial.asked.append(asked)
        async with room:
            delays.append(await asyncio.to_thread(_cut, server, asked, num_frames, how))

    with faulty_server(folder, {MODEL: Knobs()}, settings=trial.settings) as server:
        await asyncio.gather(*(cut(server.live, number) for number in range(num_streams)))
    await asyncio.to_thread(rest, trial, chance)
    verdict = await asyncio.to_thread(judge, trial)
    truth = tokens_by_number(read_truth(folder / "fakes", MODEL))
    return [
        *sound("A3", trial, verdict),
        exactly("A3", f"requests that generated and have no record, of {len(truth):,}", 0, len(verdict.unrecorded)),
        within("A3", "from the client's end to its record (p99)", 2.0, sorted(delays)[int(len(delays) * 0.99)]),
    ]


def _cut(server: LiveServer, asked: Asked, num_frames: int, how: str) -> float:
    """Leave a stream after so many frames; how long it took its record to be there, in seconds."""
    connection = send(replace(server, key=asked.payer.secret), "/v1/completions", asked.body)
    received = read_until(connection, b"\r\n\r\n") if num_frames else b""
    while received.count(b"data: ") < num_frames:
        received += connection.recv(65_536)
    if not num_frames:
        # It was read, at the least.
        time.sleep(0.05)
    leave(connection, how=how)
    left_at = time.monotonic()
    query = "SELECT count(*) FROM usage_records WHERE end_user = ?"
    with closing(sqlite3.connect(f"file:{server.data / 'parley.db'}?mode=ro", uri=True)) as database:
        eventually(lambda: database.execute(query, (asked.user,)).fetchone()[0], bool)
    return time.monotonic() - left_at


async def a4(folder: Path, scale: Scale) -> list[Figure]:
    """Kills at random moments and at failpoints, under clients that leave."""
    trial = await asyncio.to_thread(prepare, folder, seed=SEED)
    await asyncio.to_thread(run_trial, trial, num_lives=scale.pick(6, 1_100))
    return [
        at_least("A4", "kills", scale.pick(4, 1_000), trial.num_kills),
        at_least("A4", "requests", scale.pick(50, 10_000), len(trial.asked)),
        at_least("A4", "failpoints of the list that were reached", scale.pick(1, len(LABELS)), len(trial.reached)),
        *sound("A4", trial, await asyncio.to_thread(judge, trial)),
    ]


async def a4_on_postgresql(folder: Path, scale: Scale) -> list[Figure]:
    """The same with its records on PostgreSQL, which lives on."""
    if not is_installed():
        raise NotHere(MISSING)
    with running_cluster() as socket_folder:
        url = f"postgresql://parley@/postgres?host={socket_folder}"
        trial = await asyncio.to_thread(prepare, folder, seed=SEED + 1, database_url=url)
        await asyncio.to_thread(run_trial, trial, num_lives=scale.pick(3, 110))
        verdict = await asyncio.to_thread(judge, trial)
    return [at_least("A4", "kills, on PostgreSQL", scale.pick(1, 100), trial.num_kills), *sound("A4", trial, verdict)]


async def a5(folder: Path, scale: Scale) -> list[Figure]:
    """A server that is stopped and started again under load, in good order."""
    chance = random.Random(SEED)
    stops = [Ending(after_seconds=chance.uniform(0.3, 1.5), signal=signal.SIGTERM) for _ in range(scale.pick(1, 40))]
    return await _lives("A5", folder, stops, lambda trial: set(trial.exit_codes) == {0})


async def a6(folder: Path, scale: Scale) -> list[Figure]:
    """The n-th commit fails as on a broken disk. Nobody is answered for it, the server ends, and the next one finds all."""
    numbers = range(3, 5) if not scale.is_full else range(1, 51)
    # Nothing but the failing commit ends a life, however slow the machine is.
    failures = [Ending(after_seconds=60.0, signal=signal.SIGKILL, failpoint=f"commit:{n}:error") for n in numbers]
    # One that fails at its start never was ready, and has no exit code here.
    return await _lives(
        "A6",
        folder,
        failures,
        lambda trial: trial.reached == {"commit": len(failures)} and all(code == 1 for code in trial.exit_codes),
        may_lack_records=True,
    )


async def _lives(
    row: str,
    folder: Path,
    endings: list[Ending],
    ended_as_told: Callable[[Trial], bool],
    *,
    may_lack_records: bool = False,
) -> list[Figure]:
    trial = await asyncio.to_thread(prepare, folder, seed=SEED)
    chance = random.Random(SEED)
    await asyncio.to_thread(run_lives, trial, endings, chance)
    await asyncio.to_thread(rest, trial, chance)
    verdict = await asyncio.to_thread(judge, trial)
    figures = [exactly(row, f"all {len(endings)} lives ended as they should", True, ended_as_told(trial))]
    if not may_lack_records:
        figures.append(exactly(row, "requests that generated and have no record", 0, len(verdict.unrecorded)))
    return figures + sound(row, trial, verdict)
