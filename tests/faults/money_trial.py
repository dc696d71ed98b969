"""A trial of money: lives of a metered server that end by kills, failpoints and signals, under clients that come and leave.

`run_trial` sends and kills; `tests.faults.money_truth` says afterwards whether the ledger is the truth. Everything random
comes of one seed.
"""

import asyncio
import json
import random
import signal
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import aiohttp

from parley.api.platform.control import ask
from parley.api.platform.money_commands import AddCredits, ShowCredits
from parley.core.clock import SystemClock
from parley.domain.accounts.model import KeyRequest
from parley.infra.db import Transaction
from parley.infra.settings import Settings, load_settings
from parley.operations import credit
from parley.operations.command_line import operator
from parley.operations.first_start import ensure_owner
from parley.operations.records import Records, open_records
from tests.builders_faults import FaultyServer, faulty_server, write_catalog
from tests.faults.failpoints import LABELS
from tests.faults.fake_engine.knobs import Knobs
from tests.live import KEY

MODEL = "alpha"
INPUT_NANO, OUTPUT_NANO = 2_000, 3_000
# Digits of a request's number, with which its prompt begins; ids that every made vocabulary has.
_BASE, _NUM_DIGITS, _FIRST_ID = 50, 4, 10
PROMPT_TOKENS = _NUM_DIGITS
_NO_LIMITS = "\n".join(
    f'[{tier}]\nrequests_per_minute = "none"\ntokens_per_minute = "none"' for tier in ("free", "paid")
)
_LIFE_SECONDS = 0.7
_NUM_CLIENTS = 12
# Failpoints that only requests reach that run for long, and the seconds that they need.
_LATE = {
    "checkpoint": 1.5,
    "checkpoint-written": 1.5,
    "checkpoint-durable": 1.5,
}
_PATIENCE_SECONDS = 60.0
# How long after the last client nothing may be held any more.
_IDLE_SECONDS = 60.0
NOTHING = "$0.00"
_DOLLAR = 10**9
# So much that a long trial reaches the end of both.
_GRANT_NANO, _BUDGET_NANO = 50_000_000, 100_000_000


@dataclass(frozen=True, kw_only=True)
class Payer:
    """An organization that asks: its key's secret, what it is topped up by in each life, what it may spend in the month."""

    organization_id: str
    secret: str
    top_up_nano: int
    budget_nano: int | None = None


@dataclass(kw_only=True)
class Asked:
    """One request, as its client knows it."""

    number: int
    payer: Payer
    is_stream: bool
    num_sequences: int
    # None: the API's default, 16.
    max_tokens: int | None
    # Seconds after which the client goes away; None: it stays.
    leaves_after: float | None
    # Whether it claims to be one request, by an Idempotency-Key.
    has_key: bool = False
    status: int | None = None
    # Whether it waited for so long that something must be wrong.
    is_hung: bool = False
    # Whether it had the whole reply.
    is_whole: bool = False
    num_words: int = 0

    @property
    def user(self) -> str:
        """What finds its usage record."""
        return f"asked-{self.number}"

    @property
    def body(self) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": MODEL,
            "prompt": prompt_of(self.number),
            "stream": self.is_stream,
            "n": self.num_sequences,
            "user": self.user,
        }
        return body if self.max_tokens is None else body | {"max_tokens": self.max_tokens}


@dataclass(kw_only=True)
class Trial:
    """How a trial is run, and what it came to."""

    folder: Path
    seed: int
    payers: list[Payer] = field(default_factory=list)
    settings: Mapping[str, str] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    num_kills: int = 0
    num_stops: int = 0
    # Failpoint -> how often a life ended there.
    reached: dict[str, int] = field(default_factory=dict)
    num_deaths_at_start: int = 0
    # The names of the payments that were confirmed.
    payments: list[str] = field(default_factory=list)
    # How each life ended, as the system tells it: below 0 by a signal.
    exit_codes: list[int] = field(default_factory=list)
    # What was held for each organization when nothing ran any more.
    held_at_idle: list[str] = field(default_factory=list)

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def parley_settings(self) -> Settings:
        """Those of the server, to look at its records with."""
        url = self.settings.get("PARLEY_DATABASE_URL")
        return load_settings({"data": self.data} | ({} if url is None else {"database_url": url}))


@dataclass(frozen=True, kw_only=True)
class Ending:
    """How a life ends: at a failpoint, or after a while by a signal."""

    after_seconds: float
    signal: signal.Signals
    failpoint: str | None = None


def prompt_of(number: int) -> list[int]:
    """A prompt that names its request."""
    digits = []
    for _ in range(_NUM_DIGITS):
        number, digit = divmod(number, _BASE)
        digits.append(_FIRST_ID + digit)
    return digits


def number_of(prompt: tuple[int, ...]) -> int:
    """The request that a prompt names."""
    return sum((digit - _FIRST_ID) * _BASE**place for place, digit in enumerate(prompt[:_NUM_DIGITS]))


def prepare(folder: Path, *, seed: int, database_url: str | None = None, models: Sequence[str] = (MODEL,)) -> Trial:
    """Organizations with their keys: a rich one, two that are nearly always short of money, one on grants, one on a budget."""
    settings = {"PARLEY_MODE": "metered", "PARLEY_NUM_SLOTS": "16", "PARLEY_MAX_WAITING": "500"}
    if database_url is not None:
        settings["PARLEY_DATABASE_URL"] = database_url
    trial = Trial(folder=folder, seed=seed, settings=settings)
    write_catalog(trial.data, list(models), {}, price_nano=(INPUT_NANO, OUTPUT_NANO))
    (trial.data / "tiers.toml").write_text(_NO_LIMITS)
    trial.payers = asyncio.run(_found(trial))
    return trial


async def _found(trial: Trial) -> list[Payer]:
    payers = []
    async with open_records(trial.parley_settings, SystemClock()) as records:
        await ensure_owner(records, KEY)
        for name, first_nano, top_up_nano in (
            ("rich", 1_000 * _DOLLAR, 0),
            ("short", 2_000_000, 1_500_000),
            ("shorter", 300_000, 400_000),
            ("granted", 0, 0),
            ("budgeted", 100 * _DOLLAR, 0),
        ):
            payers.append(await _payer(records, name, first_nano, top_up_nano))
        *_, granted, budgeted = payers
        actor = await operator(records, granted.organization_id)
        for days in (30.0, 10.0, 90.0):
            await credit.grant(records, actor, _GRANT_NANO, days=days)
        await credit.set_budget(records, actor, budgeted.organization_id, _BUDGET_NANO)
    return [*payers[:-1], replace(budgeted, budget_nano=_BUDGET_NANO)]


async def _payer(records: Records, name: str, first_nano: int, top_up_nano: int) -> Payer:
    def found(transaction: Transaction) -> tuple[str, str]:
        project = records.accounts.found(transaction, name)
        issued = records.accounts.issue(transaction, project, KeyRequest(name=name))
        return project.organization_id, issued.secret

    organization_id, secret = await records.database.transaction(found)
    if first_nano:
        actor = await operator(records, organization_id)
        await credit.top_up(records, actor, first_nano, payment=f"first-{name}")
    return Payer(organization_id=organization_id, secret=secret, top_up_nano=top_up_nano)


def run_trial(trial: Trial, *, num_lives: int) -> None:
    """So many lives more, each ended at random; then one that rests."""
    chance = random.Random(f"{trial.seed}:{len(trial.asked)}")
    run_lives(trial, [_ending(chance) for _ in range(num_lives)], chance)
    rest(trial, chance)


def run_lives(trial: Trial, endings: Iterable[Ending], chance: random.Random) -> None:
    """A life under load for each ending."""
    for ending in endings:
        settings = dict(trial.settings)
        if ending.failpoint is not None:
            settings["FAIL_AT"] = ending.failpoint
        try:
            with faulty_server(trial.folder, {MODEL: Knobs()}, settings=settings) as server:
                asyncio.run(_live(trial, server, ending, chance))
        except RuntimeError:
            # Before it was ready: while it settled what the life before had left.
            if ending.failpoint is None:
                raise
            trial.num_deaths_at_start += 1
        _count_end(trial, ending)


def rest(trial: Trial, chance: random.Random) -> None:
    """A life in which the clients end before the server does; what is held then is noted."""
    with faulty_server(trial.folder, {MODEL: Knobs()}, settings=trial.settings) as server:
        asyncio.run(_load(trial, server, chance, lambda: asyncio.sleep(_LIFE_SECONDS)))
        # The last client may have left a moment ago.
        deadline = time.monotonic() + _IDLE_SECONDS
        while (held := _held(trial, server)) != [NOTHING] * len(trial.payers) and time.monotonic() < deadline:
            time.sleep(0.05)
        trial.held_at_idle = held


def _held(trial: Trial, server: FaultyServer) -> list[str]:
    """What is held for each organization, in dollars."""
    values = []
    for payer in trial.payers:
        shown = ask(server.live.data / "control.sock", ShowCredits(organization_id=payer.organization_id))
        if shown is not None:
            values += [row["value"] for row in shown.lines if row["what"] == "held by running requests"]
    return values


def _ending(chance: random.Random) -> Ending:
    seconds = chance.uniform(0.02, _LIFE_SECONDS)
    draw = chance.random()
    if draw < 0.4:
        label = chance.choice(LABELS)
        times = 1 if label in _LATE else chance.choice((1, 2, 3, 5, 8))
        # A failpoint that is not reached in time ends its life by a kill.
        return Ending(after_seconds=_LATE.get(label, 1.2), signal=signal.SIGKILL, failpoint=f"{label}:{times}")
    return Ending(after_seconds=seconds, signal=signal.SIGTERM if draw < 0.45 else signal.SIGKILL)


def _count_end(trial: Trial, ending: Ending) -> None:
    if ending.signal is signal.SIGTERM:
        trial.num_stops += 1
        return
    trial.num_kills += 1
    log = (trial.folder / "server.log").read_bytes()
    if ending.failpoint is not None and b"failpoint " in log:
        label = ending.failpoint.partition(":")[0]
        trial.reached[label] = trial.reached.get(label, 0) + 1


async def _live(trial: Trial, server: FaultyServer, ending: Ending, chance: random.Random) -> None:
    """Load until the server is gone."""
    process = server.live.process

    async def end() -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(ending.after_seconds):
                while process.poll() is None:
                    await asyncio.sleep(0.005)
        process.send_signal(ending.signal)

    await _load(trial, server, chance, end)
    await asyncio.to_thread(process.wait, _PATIENCE_SECONDS)
    trial.exit_codes.append(process.returncode)


async def _load(
    trial: Trial, server: FaultyServer, chance: random.Random, until: Callable[[], Awaitable[None]]
) -> None:
    """Clients that ask, one request after another, until the end; and somebody who pays. Returns when the last has ended."""
    is_over = asyncio.Event()

    async def client() -> None:
        while not is_over.is_set():
            await _ask(session, server.live.base_url, _next(trial, chance))

    timeout = aiohttp.ClientTimeout(total=_PATIENCE_SECONDS)
    connector = aiohttp.TCPConnector(limit=0, force_close=True)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        clients = [asyncio.create_task(client()) for _ in range(_NUM_CLIENTS)]
        paying = asyncio.create_task(asyncio.to_thread(_pay, trial, server))
        await until()
        is_over.set()
        await asyncio.gather(*clients, paying)


def _pay(trial: Trial, server: FaultyServer) -> None:
    """Top up those who are short. A payment whose answer was lost is sent again in the next life, under its name."""
    for payer in trial.payers:
        if payer.top_up_nano:
            payment = f"{payer.organization_id}-{len(trial.payments)}"
            paid = AddCredits(nano=payer.top_up_nano, organization_id=payer.organization_id, payment=payment)
            with suppress(OSError):
                reply = ask(server.live.data / "control.sock", paid)
                # The second time it is told that it was posted.
                if reply is not None and (reply.error is None or "was posted before" in reply.error):
                    trial.payments.append(payment)


def _next(trial: Trial, chance: random.Random) -> Asked:
    """One more request, noted before it is sent."""
    max_tokens = chance.choice((1, 3, 10, 30, 60, 2_000, None))
    # Nobody stays to the end of the longest.
    leaves = max_tokens == 2_000 or chance.random() < 0.3
    asked = Asked(
        number=len(trial.asked),
        payer=chance.choice(trial.payers),
        is_stream=chance.random() < 0.6,
        num_sequences=chance.choice((1, 1, 1, 2, 3)),
        max_tokens=max_tokens,
        leaves_after=chance.uniform(0.0, 0.25) if leaves else None,
        has_key=chance.random() < 0.2,
    )
    trial.asked.append(asked)
    return asked


async def _ask(session: aiohttp.ClientSession, base_url: str, asked: Asked) -> None:
    headers = {"authorization": f"Bearer {asked.payer.secret}"}
    if asked.has_key:
        headers["idempotency-key"] = asked.user
    try:
        async with asyncio.timeout(asked.leaves_after):
            async with session.post(f"{base_url}/completions", json=asked.body, headers=headers) as reply:
                asked.status = reply.status
                await _read(reply, asked)
    except TimeoutError:
        asked.is_hung = asked.leaves_after is None
    except (aiohttp.ClientError, OSError):
        # Its server died. Whoever would connect again at once only makes noise.
        await asyncio.sleep(0.02)


async def _read(reply: aiohttp.ClientResponse, asked: Asked) -> None:
    if reply.status != 200 or not asked.is_stream:
        body = await reply.json(content_type=None)
        if reply.status == 200:
            asked.num_words = sum(len(choice["text"].split()) for choice in body["choices"])
            asked.is_whole = True
        return
    async for line in reply.content:
        if line.startswith(b"data: [DONE]"):
            asked.is_whole = True
        elif line.startswith(b"data: "):
            for choice in json.loads(line.removeprefix(b"data: ")).get("choices", ()):
                asked.num_words += len(choice["text"].split())
