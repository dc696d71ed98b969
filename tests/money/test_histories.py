"""M5: histories of admission, holds, settling, checkpoints, crashes and failing disks, against a model that fits on a page."""

import asyncio
import sqlite3
import tempfile
from dataclasses import dataclass
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule
from sqlalchemy import event

from parley.core.clock import FakeClock
from parley.core.errors import RateLimited
from parley.core.hold import Hold
from parley.core.usage import Usage
from parley.domain.billing.store import balances, ledger
from parley.infra.db import DatabaseFailed
from parley.operations.verification import verify_ledger
from tests.builders_billing import need, open_money, record_of

ORGANIZATION = "org-a"
PRICE_OF_INPUT, PRICE_OF_OUTPUT = 2, 3


@dataclass
class Running:
    """A request as the model knows it: what was held, what it has used, and what a restart would find of it."""

    hold: Hold
    num_output: int = 0
    kept_charge: int | None = None

    @property
    def usage(self) -> Usage:
        return Usage(input_tokens=10, output_tokens=self.num_output) if self.num_output else Usage()

    @property
    def charge(self) -> int:
        return 10 * PRICE_OF_INPUT + self.num_output * PRICE_OF_OUTPUT if self.num_output else 0


class Histories(RuleBasedStateMachine):
    """The model is two numbers, what was given and what was charged, and the requests that run."""

    running = Bundle("running")

    @initialize()
    def start(self) -> None:
        self.runner = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory()
        self.clock = FakeClock()
        self.given = self.charged = self.expired = self.num_made = 0
        self.open_requests: dict[str, Running] = {}
        self.records: dict[str, int] = {}
        self._open()
        # Something to spend: a history in which everything is refused says little.
        self.grant(300, 30)
        self.top_up(300)

    def teardown(self) -> None:
        if hasattr(self, "runner"):
            self._close()
            self.runner.close()
            self.folder.cleanup()

    def _open(self) -> None:
        self.context = open_money(Path(self.folder.name) / "parley.db", self.clock)
        self.bench = self.runner.run(self.context.__aenter__())

    def _close(self) -> None:
        self.runner.run(self.context.__aexit__(None, None, None))

    def _restart(self) -> None:
        """What a process leaves that dies now, and what the next one makes of it."""
        self._close()
        for request_id, request in self.open_requests.items():
            if request.kept_charge is not None:
                self.charged += request.kept_charge
                self.records[request_id] = request.kept_charge
        self.open_requests = {}
        self._open()

    @rule(nano=st.integers(1, 400))
    def top_up(self, nano: int) -> None:
        self.num_made += 1
        self.runner.run(self.bench.top_up(nano, key=str(self.num_made)))
        self.given += nano

    @rule(nano=st.integers(1, 200), days=st.sampled_from([1, 30]))
    def grant(self, nano: int, days: int) -> None:
        self.runner.run(self.bench.grant(nano, days=days))
        self.given += nano

    @rule(target=running, output=st.integers(1, 60), least=st.integers(0, 60), num_tokens=st.integers(0, 80))
    def admit(self, output: int, least: int, num_tokens: int) -> str:
        self.num_made += 1
        request_id = f"req_{self.num_made}"
        least = min(least, output)
        available = self.bench.available
        try:
            hold = self.bench.hold(request_id, need(10, output, at_least=least))
        except RateLimited:
            assert available < 10 * PRICE_OF_INPUT + least * PRICE_OF_OUTPUT
            return ""
        assert hold.amount_nano <= available
        self.open_requests[request_id] = Running(hold)
        self.generate(request_id, num_tokens)
        return request_id

    @rule(request_id=running, num_tokens=st.integers(0, 40))
    def generate(self, request_id: str, num_tokens: int) -> None:
        request = self.open_requests.get(request_id)
        if request is not None:
            wanted = request.num_output + num_tokens
            if wanted > request.hold.num_output_tokens:
                self.bench.billing.books.extend(request.hold, wanted - request.hold.num_output_tokens)
            request.num_output = min(wanted, request.hold.num_output_tokens)

    @rule(request_id=consumes(running))
    def settle(self, request_id: str) -> None:
        request = self.open_requests.pop(request_id, None)
        if request is not None:
            self.runner.run(self.bench.settle(request.hold, request.usage))
            self.charged += request.charge
            self.records[request_id] = request.charge

    @rule(request_id=consumes(running))
    def fail_at_the_commit(self, request_id: str) -> None:
        """The disk fails while a request is settled: nobody hears that it is, and a restart finds what was kept before."""
        request = self.open_requests.get(request_id)
        if request is None:
            return

        def fail(_: object) -> None:
            raise sqlite3.OperationalError("disk I/O error")

        event.listen(self.bench.database._write_engine, "commit", fail)
        try:
            self.runner.run(self.bench.settle(request.hold, request.usage))
        except DatabaseFailed:
            pass
        else:
            raise AssertionError("a settlement was answered that is not durable")
        self._restart()

    @rule()
    def checkpoint(self) -> None:
        self.runner.run(
            self.bench.settlements.checkpoint(
                [(request.hold, record_of(request.hold, request.usage)) for request in self.open_requests.values()]
            )
        )
        for request in self.open_requests.values():
            request.kept_charge = request.charge

    @rule()
    def die(self) -> None:
        self._restart()

    @rule(days=st.sampled_from([0.5, 2.0, 40.0]))
    def let_time_pass(self, days: float) -> None:
        self.clock.advance(days * 86_400.0)
        before = sum(self.bench.billing.books.balances().values())
        self.runner.run(self.bench.reconciler().expire())
        self.expired += before - sum(self.bench.billing.books.balances().values())

    @invariant()
    def nothing_is_lost_or_doubled_or_negative(self) -> None:
        if not hasattr(self, "bench"):
            return
        books = self.bench.billing.books
        assert sum(books.balances().values()) == self.given - self.charged - self.expired
        assert min(books.balances().values(), default=0) >= 0
        assert books.held_nano(ORGANIZATION) == sum(r.hold.amount_nano for r in self.open_requests.values())

    @rule()
    def look_into_the_database(self) -> None:
        def look(connection: object) -> tuple[object, ...]:
            _, findings = verify_ledger(connection, self.bench.billing)
            sums = ledger.sums(connection, until=2**62)
            return findings, sum(sums.values()), sums.get("revenue", 0), len(balances.list_holds(connection))

        findings, total, revenue, num_holds = self.runner.run(self.bench.database.read(look))
        assert (findings, total, revenue) == ([], 0, self.charged)
        assert num_holds == sum(request.kept_charge is not None for request in self.open_requests.values())
        records = self.runner.run(self.bench.usage.list_records(limit=10_000))
        assert {record.request_id: record.charge_nano for record in records} == self.records


TestHistories = Histories.TestCase
TestHistories.settings = settings(max_examples=30, stateful_step_count=40, suppress_health_check=list(HealthCheck))
