"""A9: what is kept of a request under its client's key, for how long, and which keys are none."""

from dataclasses import replace

import pytest
from msgspec import structs
from starlette.requests import Request
from starlette.responses import Response

from parley.api.repeats import Repeats
from parley.core.claim import Claim
from parley.core.errors import Conflict, InvalidRequest
from parley.core.usage import Outcome, Usage
from parley.domain.idempotency.model import KEPT_SECONDS, MAX_KEPT_BYTES
from tests.builders_billing import PRICE, need, open_money, principal, record_of

CLAIM = Claim(project_id="proj_a", key="order-1", fingerprint=b"f" * 32)


async def settle(bench, request_id="req_1", claim=CLAIM):
    await bench.top_up(1_000, key=request_id)
    hold = bench.billing.books.open_hold(request_id, principal(), PRICE, need(), claim)
    await bench.settle(hold, Usage(input_tokens=10, output_tokens=5))


async def test_a_reply_is_found_for_a_day_and_then_forgotten(place):
    async with open_money(place) as bench:
        await settle(bench)
        await bench.replies.keep_body(CLAIM, "req_1", b"{}")
        found = await bench.replies.find("proj_a", "order-1")
        assert (found.request_id, found.fingerprint, found.body) == ("req_1", CLAIM.fingerprint, b"{}")
        assert await bench.replies.find("proj_b", "order-1") is None
        assert await bench.replies.forget_old() == 0
        bench.clock.advance(KEPT_SECONDS + 1)
        assert await bench.replies.find("proj_a", "order-1") is None
        assert await bench.replies.forget_old() == 1


async def test_one_round_forgets_all_that_is_old_and_lets_the_writer_go_between(place, monkeypatch):
    for module in ("parley.domain.idempotency.service", "parley.operations.reconcile"):
        monkeypatch.setattr(f"{module}.FORGOTTEN_AT_ONCE", 2)
    async with open_money(place) as bench:
        for number in range(5):
            await settle(bench, f"req_{number}", replace(CLAIM, key=f"order-{number}"))
        bench.clock.advance(KEPT_SECONDS + 1)
        num_forgotten = []
        forget_old = bench.replies.forget_old

        async def counted():
            num_forgotten.append(await forget_old())
            return num_forgotten[-1]

        bench.replies.forget_old = counted
        await bench.reconciler().expire()
        assert num_forgotten == [2, 2, 1]


@pytest.mark.parametrize("outcome", [outcome for outcome in Outcome if outcome is not Outcome.FINISHED])
async def test_a_request_that_did_not_come_to_its_end_may_be_done_again_under_its_key(place, outcome):
    async with open_money(place) as bench:
        await bench.top_up(1_000)
        hold = bench.billing.books.open_hold("req_1", principal(), PRICE, need(), CLAIM)
        record = record_of(hold, Usage(input_tokens=10, output_tokens=5))
        await bench.settlements.settle(hold, structs.replace(record, outcome=outcome))
        assert await bench.replies.find("proj_a", "order-1") is None


async def test_a_reply_that_is_too_large_is_noted_and_not_kept(place):
    async with open_money(place) as bench:
        await settle(bench)
        await bench.replies.keep_body(CLAIM, "req_1", b"x" * (MAX_KEPT_BYTES + 1))
        assert (await bench.replies.find("proj_a", "order-1")).body is None


async def test_the_request_that_was_charged_last_under_a_key_takes_the_place_of_the_one_before(place):
    async with open_money(place) as bench:
        await settle(bench)
        await bench.replies.keep_body(CLAIM, "req_1", b"{}")
        bench.clock.advance(KEPT_SECONDS - 1)
        again = replace(CLAIM, fingerprint=b"g" * 32)
        await settle(bench, "req_2", again)
        bench.clock.advance(2)
        found = await bench.replies.find("proj_a", "order-1")
        assert (found.request_id, found.fingerprint, found.body) == ("req_2", again.fingerprint, None)


async def test_what_is_forgotten_under_a_key_is_kept_of_another_project_under_the_same(place):
    async with open_money(place) as bench:
        await settle(bench)
        bench.clock.advance(KEPT_SECONDS)
        await settle(bench, "req_2", replace(CLAIM, project_id="proj_b"))
        bench.clock.advance(1)
        assert await bench.replies.forget_old() == 1
        assert (await bench.replies.find("proj_b", "order-1")).request_id == "req_2"


async def test_a_thousand_replies_are_forgotten_at_a_time(place):
    async with open_money(place) as bench:
        claims = [(replace(CLAIM, key=f"order-{number}"), f"req_{number}") for number in range(1_001)]
        await bench.database.transaction(lambda unit: bench.replies.settle(unit.connection, claims))
        bench.clock.advance(KEPT_SECONDS + 1)
        assert [await bench.replies.forget_old() for _ in range(3)] == [1_000, 1, 0]


async def test_a_reply_goes_to_its_own_request_s_place_only(place):
    async with open_money(place) as bench:
        await settle(bench)
        await bench.replies.keep_body(CLAIM, "req_another", b"{}")
        assert (await bench.replies.find("proj_a", "order-1")).body is None


def http(key, body=b"{}", content_type="application/json"):
    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}

    headers = [(b"idempotency-key", key.encode("latin-1")), (b"content-type", content_type.encode())]
    scope = {"type": "http", "method": "POST", "path": "/v1/completions", "headers": headers, "query_string": b""}
    return Request(scope, receive)


@pytest.mark.parametrize("key", ["", "two words", "k" * 256, "schl\xfcssel"])
async def test_what_is_no_key_is_refused(tmp_path, key):
    async with open_money(tmp_path / "parley.db") as bench:
        with pytest.raises(InvalidRequest, match="Idempotency-Key"):
            async with Repeats(bench.replies).claimed(http(key), principal()):
                pass


async def test_a_twin_waits_and_another_request_under_the_key_is_refused(tmp_path):
    async with open_money(tmp_path / "parley.db") as bench:
        repeats = Repeats(bench.replies)
        async with repeats.claimed(http("order-2"), principal()) as claimed:
            assert claimed.reply is None
            with pytest.raises(Conflict):
                async with repeats.claimed(http("order-2"), principal()):
                    pass
            with pytest.raises(InvalidRequest, match="different"):
                async with repeats.claimed(http("order-2", b'{"n": 2}'), principal()):
                    pass
            async with repeats.claimed(http("order-2"), principal(project_id="proj_b")) as other:
                assert other.reply is None
        async with repeats.claimed(http("order-2"), principal()) as again:
            assert again.reply is None


async def test_a_key_with_other_models_makes_another_request_and_one_with_the_same_does_not(tmp_path):
    def of(key_id, *models):
        return replace(principal(key_id=key_id), allowed_models=frozenset(models))

    async with open_money(tmp_path / "parley.db") as bench:
        repeats = Repeats(bench.replies)
        async with repeats.claimed(http("order-5"), of("key_a", "ada", "gpt-4")) as first:
            with pytest.raises(Conflict):
                async with repeats.claimed(http("order-5"), of("key_b", "gpt-4", "ada")):
                    pass
            for other in (of("key_b", "ada"), of("key_b"), principal(key_id="key_b")):
                with pytest.raises(InvalidRequest, match="different"):
                    async with repeats.claimed(http("order-5"), other):
                        pass
        await settle(bench, claim=first.claim)
        await repeats.keep(first.claim, "req_1", Response(b"{}"))
        async with repeats.claimed(http("order-5"), of("key_b", "gpt-4", "ada")) as again:
            assert again.reply.body == b"{}"
        with pytest.raises(InvalidRequest, match="different"):
            async with repeats.claimed(http("order-5"), of("key_b", "ada")):
                pass


def form(boundary, *values):
    parts = "".join(f'--{boundary}\r\nContent-Disposition: form-data; name="v"\r\n\r\n{value}\r\n' for value in values)
    return http("order-4", f"{parts}--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}")


async def test_a_form_that_is_sent_again_with_another_boundary_is_the_same_request(tmp_path):
    async with open_money(tmp_path / "parley.db") as bench:
        repeats = Repeats(bench.replies)
        async with repeats.claimed(form("first", "a", "b"), principal()):
            with pytest.raises(Conflict):
                async with repeats.claimed(form("second", "a", "b"), principal()):
                    pass
            # One value that reads like two is another request.
            one = 'a\r\n--first\r\nContent-Disposition: form-data; name="v"\r\n\r\nb'
            for other in (form("second", "a", "c"), form("second", "ab"), form("second", one)):
                with pytest.raises(InvalidRequest, match="different"):
                    async with repeats.claimed(other, principal()):
                        pass


async def test_a9_a_reply_that_cannot_be_kept_any_more_is_sent_all_the_same(tmp_path):
    async with open_money(tmp_path / "parley.db") as bench:
        repeats = Repeats(bench.replies)
        async with repeats.claimed(http("order-3"), principal()) as claimed:
            # Its request is charged by now; then the database fails.
            await bench.database.aclose()
            await repeats.keep(claimed.claim, "req_1", Response(b"{}"))
