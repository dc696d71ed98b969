"""The ledger: what settling writes, that it is written once, and that a new start finds it. On SQLite and PostgreSQL."""

import asyncio

import pytest
from msgspec import structs

from parley.core.clock import FakeClock
from parley.core.errors import Conflict, InvalidRequest, RateLimited
from parley.core.money import MAX_NANO
from parley.core.usage import Usage
from parley.domain.billing.model import EntryKind
from parley.domain.billing.store import balances, ledger
from parley.operations.verification import verify_ledger
from tests.builders_billing import DAY_SECONDS, need, open_money, principal, record_of

USED = Usage(input_tokens=10, cached_tokens=4, output_tokens=5)
# 6 prompt tokens at 2, 4 cached at 1, 5 output tokens at 3.
CHARGE = 31


async def entries_of(bench):
    return await bench.database.read(lambda connection: ledger.read_entries(connection, after=0, limit=10_000))


async def sums_of(bench):
    return await bench.database.read(lambda connection: ledger.sums(connection, until=2**62))


async def held_rows(bench):
    return await bench.database.read(balances.list_holds)


async def test_a_settled_request_leaves_its_record_and_its_entries(place):
    async with open_money(place) as bench:
        await bench.top_up(1_000)
        await bench.settle(bench.hold(), USED)
        (record,) = await bench.usage.list_records()
        assert (record.request_id, record.charge_nano, record.price_version) == ("req_1", CHARGE, "test:1")
        assert await sums_of(bench) == {"top-ups": -1_000, "credit:org-a": 1_000 - CHARGE, "revenue": CHARGE}


async def test_the_sum_of_all_accounts_is_nothing(place):
    async with open_money(place) as bench:
        await bench.top_up(1_000)
        await bench.grant(40)
        await bench.settle(bench.hold(), USED)
        await bench.settle(bench.hold("req_2"), USED)
        found = await sums_of(bench)
        assert sum(found.values()) == 0
        assert min(nano for account, nano in found.items() if account.startswith(("credit:", "grant:"))) >= 0


async def test_a_start_finds_the_balances_budgets_and_months_that_were(place):
    async with open_money(place) as bench:
        await bench.top_up(1_000)
        grant_id = await bench.grant(20)
        await bench.database.transaction(lambda unit: bench.billing.set_budget(unit, "proj_a", 77))
        await bench.database.transaction(lambda unit: bench.billing.set_frozen(unit, "org-b", reason="looked odd"))
        await bench.settle(bench.hold(), USED)
        before = bench.billing.books
        clock = bench.clock
    for _ in range(3):
        async with open_money(place, clock) as again:
            books = again.billing.books
            assert books.balances() == before.balances() == {"credit:org-a": 1_000 - CHARGE + 20}
            assert again.num_orphans == 0
            assert [books.spent_nano(scope) for scope in ("org-a", "proj_a", "key_a")] == [CHARGE] * 3
            assert await again.database.read(lambda unit: again.billing.budget_nano(unit, "proj_a")) == 77
            assert books.account("org-b").is_frozen
            assert books.account("org-a").grants[0].id == grant_id
            assert books.available_nano("org-a") == 1_000 - CHARGE + 20


async def test_a_start_with_the_clock_far_ahead_forgets_no_month_that_is_still_going_on(place):
    async with open_money(place) as bench:
        await bench.top_up(1_000)
        await bench.settle(bench.hold(), USED)
    for number in (2, 3):
        clock = FakeClock()
        clock.advance(70 * DAY_SECONDS)
        async with open_money(place, clock) as ahead:
            # In a month that is none yet.
            await ahead.settle(ahead.hold(f"req_{number}"), USED)
            clock.set_back(70 * DAY_SECONDS)
            assert ahead.billing.books.spent_nano("key_a") == CHARGE


async def test_requests_settled_together_leave_one_chain(place):
    async with open_money(place) as bench:
        await bench.top_up(10**6)
        holds = [bench.hold(f"req_{number}") for number in range(300)]
        await asyncio.gather(*(bench.settle(hold, USED) for hold in holds))
        entries = await entries_of(bench)
        assert [entry.seq for entry in entries] == list(range(1, 302))
        assert bench.available == 10**6 - 300 * CHARGE
        assert len(await bench.usage.list_records()) == 300


async def test_settling_twice_charges_once(place):
    async with open_money(place) as bench:
        await bench.top_up(1_000)
        hold = bench.hold()
        await bench.settle(hold, USED)
        await bench.settle(hold, USED)
        assert bench.available == 1_000 - CHARGE
        assert len(await entries_of(bench)) == 2


async def test_of_two_that_settle_the_same_request_one_counts(place):
    async with open_money(place) as bench:
        await bench.top_up(1_000)
        await bench.settle(bench.hold(), USED)
        # What an earlier incarnation of this process would still send.
        await bench.settle(bench.hold(), USED)
        await bench.settle(bench.hold("req_2"), USED)
        assert len(await bench.usage.list_records()) == 2
        assert (await sums_of(bench))["revenue"] == 2 * CHARGE


async def test_a_twin_among_others_that_are_settled_together_harms_none_of_them(place):
    async with open_money(place) as bench:
        await bench.top_up(10_000)
        await bench.settle(bench.hold("req_5"), USED)
        holds = [bench.hold(f"req_{number}") for number in range(10)]
        await asyncio.gather(*(bench.settle(hold, USED) for hold in holds))
        assert (await sums_of(bench))["revenue"] == 10 * CHARGE
        assert len(await bench.usage.list_records()) == 10


async def test_a_caller_that_is_cancelled_is_settled_all_the_same(place):
    async with open_money(place) as bench:
        await bench.top_up(1_000)
        settling = asyncio.ensure_future(bench.settle(bench.hold(), USED))
        await asyncio.sleep(0)
        settling.cancel()
        await asyncio.gather(settling, return_exceptions=True)
        await bench.database.transaction(lambda _: None)
        assert (await sums_of(bench))["revenue"] == CHARGE


async def test_what_costs_nothing_leaves_a_record_and_an_entry_that_moves_nothing(place):
    async with open_money(place) as bench:
        await bench.top_up(1_000)
        await bench.settle(bench.hold(), Usage())
        _, entry = await entries_of(bench)
        assert (entry.kind, entry.debit, entry.credit, entry.amount_nano) == ("memo", "credit:org-a", "credit:org-a", 0)
        assert entry.note.startswith("record req_1 ")
        assert bench.available == 1_000
        assert [record.charge_nano for record in await bench.usage.list_records()] == [0]


async def test_a_payment_counts_once(place):
    async with open_money(place) as bench:
        await bench.top_up(500, key="invoice-7")
        with pytest.raises(Conflict):
            await bench.top_up(500, key="invoice-7")
        assert bench.available == 500


@pytest.mark.parametrize("nano", [0, -1, MAX_NANO + 1, 2**70])
async def test_an_amount_that_is_none_or_too_large_for_sums_is_refused(place, nano):
    async with open_money(place) as bench:
        with pytest.raises(InvalidRequest):
            await bench.top_up(nano)
        with pytest.raises(InvalidRequest):
            await bench.grant(nano)
        assert bench.available == 0
        await bench.top_up(MAX_NANO)
        await bench.top_up(MAX_NANO, key="second")
        clock = bench.clock
    async with open_money(place, clock) as again:
        assert again.available == 2 * MAX_NANO


@pytest.mark.parametrize("nano", [-1, MAX_NANO + 1, 2**70])
async def test_a_budget_below_nothing_or_too_large_for_sums_is_refused(place, nano):
    async with open_money(place) as bench:
        with pytest.raises(InvalidRequest):
            await bench.database.transaction(lambda unit: bench.billing.set_budget(unit, "proj_a", nano))
        for limit in (0, MAX_NANO):
            await bench.database.transaction(lambda unit, most=limit: bench.billing.set_budget(unit, "proj_a", most))
            assert await bench.database.read(lambda unit: bench.billing.budget_nano(unit, "proj_a")) == limit


async def test_of_a_long_note_the_ledger_keeps_the_beginning(place):
    async with open_money(place) as bench:
        note = "n" * 1_000
        await bench.database.transaction(
            lambda unit: bench.billing.top_up(unit, "org-a", 500, key="first", note=note + "o" * 1_000)
        )
        assert [entry.note for entry in await entries_of(bench)] == [note]


async def test_what_is_topped_up_can_be_spent_at_once(place):
    async with open_money(place) as bench:
        with pytest.raises(RateLimited):
            bench.hold()
        await bench.top_up(50)
        bench.hold()


async def test_a_request_that_was_checkpointed_when_its_server_died_is_charged_once_for_that(place):
    async with open_money(place) as bench:
        await bench.top_up(1_000)
        lost, young = bench.hold("req_lost"), bench.hold("req_young")
        await bench.settlements.checkpoint([(lost, record_of(lost, USED)), (young, record_of(young, Usage()))])
        more = Usage(input_tokens=10, cached_tokens=4, output_tokens=6)
        await bench.settlements.checkpoint([(lost, record_of(lost, more))])
        clock = bench.clock
    for num_orphans in (2, 0):
        async with open_money(place, clock) as again:
            assert again.num_orphans == num_orphans
            assert again.available == 1_000 - CHARGE - 3
            assert again.billing.books.held_nano("org-a") == 0
            assert await held_rows(again) == []
            charges = {record.request_id: record.charge_nano for record in await again.usage.list_records()}
            assert charges == {"req_lost": CHARGE + 3, "req_young": 0}


async def test_a_request_that_was_settled_is_not_settled_again_where_its_hold_was_left_behind(place):
    async with open_money(place) as bench:
        await bench.top_up(1_000)
        hold = bench.hold()
        await bench.settlements.checkpoint([(hold, record_of(hold, USED))])
        ((request_id, state),) = await held_rows(bench)
        await bench.settle(hold, USED)
        left_behind = [(request_id, hold.amount_nano, state)]
        await bench.database.transaction(lambda unit: balances.put_holds(unit.connection, left_behind))
        clock = bench.clock
    async with open_money(place, clock) as again:
        assert again.available == 1_000 - CHARGE
        assert again.billing.books.spent_nano("proj_a") == CHARGE
        assert (len(await again.usage.list_records()), await held_rows(again)) == (1, [])


async def test_an_orphan_counts_in_the_month_of_its_record_which_may_be_over(place):
    async with open_money(place) as bench:
        await bench.top_up(1_000)
        hold = bench.hold()
        await bench.settlements.checkpoint([(hold, record_of(hold, USED))])
        clock = bench.clock
    record_of_march = int(clock.now())
    clock.advance(40 * 86_400)
    async with open_money(place, clock) as again:
        assert again.billing.books.spent_nano("org-a") == 0
        (record,) = await again.usage.list_records()
        entries = await again.database.read(lambda c: again.billing.read_entries(c, after=0, limit=99))
        charged = [entry for entry in entries if entry.kind == EntryKind.CHARGE]
        assert {int(record.created_at)} == {entry.at // 1_000_000 for entry in charged} == {record_of_march}
        _, findings = await again.database.read(lambda c: verify_ledger(c, again.billing))
        assert findings == []


async def test_an_orphan_of_a_rotated_key_is_charged_to_the_count_that_the_keys_share(place):
    who = principal(key_id="key_b", counted_as="key_a")
    async with open_money(place) as bench:
        await bench.top_up(1_000)
        hold = bench.hold(who=who)
        await bench.settlements.checkpoint([(hold, record_of(hold, USED))])
        clock = bench.clock
    async with open_money(place, clock) as again:
        assert [again.billing.books.spent_nano(name) for name in ("key_a", "key_b")] == [CHARGE, 0]


@pytest.mark.parametrize(("before", "after"), [("org-a", None), (None, "org-a")], ids=["open", "metered"])
async def test_an_orphan_is_paid_as_its_request_was_admitted_whatever_the_mode_is_by_now(place, before, after):
    paid_in = 1_000 if before is None else 0
    async with open_money(place, open_organization=before) as bench:
        if paid_in:
            await bench.top_up(paid_in)
        hold = bench.hold()
        await bench.settlements.checkpoint([(hold, record_of(hold, USED))])
        clock = bench.clock
    async with open_money(place, clock, open_organization=after) as again:
        assert again.num_orphans == 1
        # What was free has no balance that covers it, and would put one below nothing.
        paid_by = "credit:org-a" if paid_in else "open:org-a"
        assert (await sums_of(again))[paid_by] == paid_in - CHARGE
        assert again.billing.books.account("org-a").credit_nano == (paid_in - CHARGE if paid_in else 0)


async def test_a_request_that_was_settled_after_its_checkpoint_is_no_orphan(place):
    async with open_money(place) as bench:
        await bench.top_up(1_000)
        hold = bench.hold()
        await bench.settlements.checkpoint([(hold, record_of(hold, USED))])
        assert len(await held_rows(bench)) == 1
        await bench.settle(hold, USED)
        assert await held_rows(bench) == []


async def test_a_checkpoint_of_a_request_that_is_settled_keeps_nothing(place):
    async with open_money(place) as bench:
        await bench.top_up(1_000)
        hold = bench.hold()
        await bench.settle(hold, USED)
        await bench.settlements.checkpoint([(hold, record_of(hold, USED))])
        assert await held_rows(bench) == []


async def test_a_grant_that_paid_for_a_request_that_was_cut_off_is_drawn_on_after_it_expired(place):
    async with open_money(place) as bench:
        grant_id = await bench.grant(50, days=1)
        hold = bench.hold()
        await bench.settlements.checkpoint([(hold, record_of(hold, USED))])
        clock = bench.clock
    clock.advance(10 * 86_400)
    async with open_money(place, clock) as again:
        assert again.billing.books.balances() == {f"grant:{grant_id}": 50 - CHARGE}


async def test_an_orphan_is_paid_with_the_grant_that_expired_while_its_request_ran(place):
    async with open_money(place) as bench:
        await bench.top_up(1_000)
        grant_id = await bench.grant(50, days=1)
        hold = bench.hold()
        bench.clock.advance(2 * 86_400)
        record = structs.replace(record_of(hold, USED), created_at=bench.clock.now())
        await bench.settlements.checkpoint([(hold, record)])
        clock = bench.clock
    async with open_money(place, clock) as again:
        assert again.billing.books.balances() == {"credit:org-a": 1_000, f"grant:{grant_id}": 50 - CHARGE}


async def test_budgets_are_counted_through_the_database(place):
    async with open_money(place) as bench:
        await bench.top_up(10_000)
        await bench.database.transaction(lambda unit: bench.billing.set_budget(unit, "proj_a", CHARGE + 49))
        await bench.settle(bench.hold(), USED)
        clock = bench.clock
    async with open_money(place, clock) as again:
        with pytest.raises(RateLimited) as refused:
            again.hold("req_2")
        assert refused.value.code == "project_spend_limit_exceeded"
        again.hold("req_3", need(1, 1), who=principal())


async def test_a_clock_that_jumps_back_into_the_month_before_a_start_meets_what_was_spent_in_it(place):
    async with open_money(place) as bench:
        await bench.top_up(10_000)
        await bench.settle(bench.hold(), USED)
        clock = bench.clock
    clock.advance(31 * 86_400)
    async with open_money(place, clock) as again:
        assert again.billing.books.spent_nano("proj_a") == 0
        clock.advance(-86_400)
        assert again.billing.books.spent_nano("proj_a") == CHARGE
