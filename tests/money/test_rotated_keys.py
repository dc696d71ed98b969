"""Keys that come one in another's place: one budget and one set of limits for all of them, whatever is asked at once."""

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest

from parley.core.hold import Need
from parley.core.price import Price
from parley.operations import credit
from parley.operations.command_line import operator
from tests.builders_accounts import Town, town

# A cent a token.
CENT = 10_000_000
PRICE = Price(version="test:1", input_token_nano=CENT, cached_token_nano=CENT, output_token_nano=CENT)
CHAT: dict[str, Any] = {"model": "echo-1", "messages": [{"role": "user", "content": "hello"}]}
DAY = 86_400


@pytest.fixture(name="place", params=["sqlite", "postgresql"])
def _place(request: pytest.FixtureRequest) -> dict[str, Any]:
    """The settings that say where the records are kept."""
    return {} if request.param == "sqlite" else {"database_url": request.getfixturevalue("postgres_url")}


async def chat(shop: Town, key: dict[str, Any], **fields: Any) -> httpx.Response:
    return await shop.call("POST", "/v1/chat/completions", CHAT | fields, key=key["value"])


def path_of(key: dict[str, Any]) -> str:
    return f"/v1/organization/projects/{key['project_id']}/api_keys/{key['id']}"


async def rotated(shop: Town, key: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = await shop.ok("POST", f"{path_of(key)}/rotate", {"overlap_seconds": DAY})
    return made


async def ask_at_once(shop: Town, keys: list[dict[str, Any]], num_each: int, **fields: Any) -> Counter[str]:
    """How the requests of all keys ended, all of them sent behind one barrier."""
    barrier = asyncio.Barrier(len(keys) * num_each)

    async def one(key: dict[str, Any]) -> str:
        await barrier.wait()
        reply = await chat(shop, key, **fields)
        return "served" if reply.status_code == 200 else str(reply.json()["error"]["code"])

    return Counter(await asyncio.gather(*(one(key) for key in keys for _ in range(num_each))))


async def test_two_keys_in_their_overlap_share_one_budget_at_once_and_after_a_restart(
    tmp_path: Path, place: dict[str, Any]
) -> None:
    async with town(tmp_path, price=PRICE, **place) as shop:
        old = await shop.new_key()
        first = await chat(shop, old, max_tokens=1)
        each = first.json()["usage"]["total_tokens"] * CENT
        # It was charged what it held, so that the money is for exactly seven more.
        await shop.ok("POST", path_of(old), {"monthly_budget_usd": 8 * each / 10**9})
        new = await rotated(shop, old)
        newest = await rotated(shop, new)
        ended = await ask_at_once(shop, [old, new, newest], 5, max_tokens=1)
        assert ended == {"served": 7, "key_spend_limit_exceeded": 8}
        clock, owner_key = shop.clock.now(), shop.owner_key
    async with town(tmp_path, price=PRICE, **place) as again:
        again.owner_key = owner_key
        again.clock.advance(clock - again.clock.now())
        ended = await ask_at_once(again, [old, new, newest], 2, max_tokens=1)
        assert ended == {"key_spend_limit_exceeded": 6}
        await again.ok("POST", path_of(newest), {"monthly_budget_usd": 9 * each / 10**9})
        assert await ask_at_once(again, [old, newest], 3, max_tokens=1) == {
            "served": 1,
            "key_spend_limit_exceeded": 5,
        }


async def test_two_keys_in_their_overlap_share_their_limits(tmp_path: Path) -> None:
    async with town(tmp_path) as shop:
        old = await shop.new_key(limits={"requests_per_minute": 6})
        assert (await chat(shop, old)).status_code == 200
        new = await rotated(shop, old)
        assert await ask_at_once(shop, [old, new], 5) == {"served": 5, "rate_limit_exceeded": 5}
        shop.clock.advance(10)
        assert await ask_at_once(shop, [old, new], 1) == {"served": 1, "rate_limit_exceeded": 1}


async def test_what_bounds_one_of_the_keys_bounds_the_others(tmp_path: Path) -> None:
    async with town(tmp_path, price=PRICE) as shop:
        old = await shop.new_key(limits={"requests_per_minute": 600}, monthly_budget_usd=50)
        other = await shop.new_key(monthly_budget_usd=50)
        new = await rotated(shop, old)
        await shop.ok("POST", path_of(old), {"limits": {"requests_per_minute": 60}})
        seen = await shop.ok("GET", path_of(new))
        assert (seen["limits"]["requests_per_minute"], seen["monthly_budget_usd"]) == (60, 50)
        await credit.set_budget(shop.records, await operator(shop.records), new["id"], 0)
        for key in (old, new):
            assert (await chat(shop, key)).json()["error"]["code"] == "key_spend_limit_exceeded"
        assert (await chat(shop, other)).status_code == 200


async def test_what_the_first_key_still_runs_is_held_against_its_successor(tmp_path: Path) -> None:
    async with town(tmp_path, price=PRICE) as shop:
        old = await shop.new_key(monthly_budget_usd=1)
        books = shop.records.billing.books
        running = books.open_hold(
            "req_running", shop.records.keys.authenticate(old["value"]), PRICE, Need(output_tokens=95)
        )
        new = await rotated(shop, old)
        assert (await chat(shop, new, max_tokens=10)).json()["error"]["code"] == "key_spend_limit_exceeded"
        books.release(running)
        assert (await chat(shop, new, max_tokens=10)).status_code == 200


async def test_a_key_is_rotated_once_and_its_successor_keeps_the_end_that_it_had(tmp_path: Path) -> None:
    async with town(tmp_path) as shop:
        old = await shop.new_key()
        new = await rotated(shop, old)
        assert (new["expires_at"], (await shop.ok("GET", path_of(old)))["expires_at"]) == (None, shop.clock.now() + DAY)
        # The reply was lost, and the client asks again.
        for body in ({"overlap_seconds": DAY}, {}):
            again = await shop.call("POST", f"{path_of(old)}/rotate", body)
            assert (again.status_code, again.json()["error"]["code"]) == (400, "already_rotated")
            assert new["id"] in again.json()["error"]["message"]
        newest = await shop.ok("POST", f"{path_of(new)}/rotate", {})
        assert newest["expires_at"] is None
        shop.clock.advance(DAY)
        assert [shop.records.keys.authenticate(key["value"]) is not None for key in (old, new, newest)] == [0, 0, 1]


async def test_a_key_whose_successor_counts_no_more_is_rotated_again_with_the_end_that_it_had(tmp_path: Path) -> None:
    async with town(tmp_path) as shop:
        for lifetime in (None, 30 * DAY):
            old = await shop.new_key(expires_in_seconds=lifetime)
            lost = await rotated(shop, old)
            await shop.ok("DELETE", path_of(lost))
            new = await rotated(shop, old)
            assert new["expires_at"] == old["expires_at"]
            assert (await shop.ok("GET", path_of(old)))["expires_at"] == shop.clock.now() + DAY


@pytest.mark.parametrize("is_revoked", [False, True])
async def test_a_key_whose_successor_is_over_is_not_rotated_into_one_that_is_over_at_once(
    tmp_path: Path, is_revoked: bool
) -> None:
    async with town(tmp_path) as shop:
        old = await shop.new_key()
        new = await rotated(shop, old)
        await shop.ok("POST", path_of(new), {"expires_at": int(shop.clock.now()) + 60})
        if is_revoked:
            await shop.ok("DELETE", path_of(new))
        shop.clock.advance(60)
        again = await shop.call("POST", f"{path_of(old)}/rotate", {})
        assert (again.status_code, again.json()["error"]["code"]) == (400, "key_expired")
        assert shop.records.keys.authenticate(old["value"]) is not None


@pytest.mark.parametrize("end", [None, 5 * DAY])
async def test_a_key_whose_overlap_is_made_longer_stands_for_itself_again(tmp_path: Path, end: int | None) -> None:
    async with town(tmp_path) as shop:
        old = await shop.new_key()
        await rotated(shop, old)
        expires_at = None if end is None else int(shop.clock.now()) + end
        await shop.ok("POST", path_of(old), {"expires_at": expires_at})
        again = await rotated(shop, old)
        assert again["expires_at"] == expires_at


async def test_eight_keys_that_came_one_in_anothers_place_count_at_once(tmp_path: Path) -> None:
    async with town(tmp_path) as shop:
        keys = [await shop.new_key()]
        for _ in range(7):
            keys.append(await rotated(shop, keys[-1]))
        refused = await shop.call("POST", f"{path_of(keys[-1])}/rotate", {"overlap_seconds": DAY})
        assert (refused.status_code, refused.json()["error"]["code"]) == (400, "limit_reached")
        # As many as before: without an overlap, and after one of them was revoked, or ended.
        keys.append(await shop.ok("POST", f"{path_of(keys[-1])}/rotate", {}))
        await shop.ok("DELETE", path_of(keys[0]))
        keys.append(await rotated(shop, keys[-1]))
        shop.clock.advance(DAY)
        await rotated(shop, keys[-1])


async def test_a_change_of_limits_leaves_predecessors_alone_that_are_over(tmp_path: Path) -> None:
    async with town(tmp_path) as shop:
        old = await shop.new_key(limits={"requests_per_minute": 600})
        new = await rotated(shop, old)
        newest = await rotated(shop, new)
        await shop.ok("DELETE", path_of(new))
        shop.clock.advance(DAY)
        await shop.ok("POST", path_of(newest), {"limits": {"requests_per_minute": 5}})
        entries = (await shop.ok("GET", "/v1/organization/audit_logs?limit=2"))["data"]
        assert [(entry["type"], entry.get("resource_id")) for entry in entries] == [
            ("api_key.updated", newest["id"]),
            ("api_key.deleted", new["id"]),
        ]
        # Nor is what they were allowed brought back.
        await credit.set_budget(shop.records, await operator(shop.records), old["id"], 10**9)
        seen = await shop.ok("GET", path_of(newest))
        assert (seen["limits"], seen["monthly_budget_usd"]) == ({"requests_per_minute": 5}, 1)


async def test_a_key_that_is_over_is_neither_changed_nor_rotated(tmp_path: Path) -> None:
    async with town(tmp_path) as shop:
        old = await shop.new_key(expires_at=int(shop.clock.now()) + 60)
        shop.clock.advance(60)
        for path, body in (("", {"expires_at": 2_000_000_000}), ("", {"name": "x"}), ("/rotate", {})):
            refused = await shop.call("POST", path_of(old) + path, body)
            assert (refused.status_code, refused.json()["error"]["code"]) == (400, "key_expired")
        await shop.ok("DELETE", path_of(old))


async def test_usage_is_told_by_the_key_that_was_used(tmp_path: Path) -> None:
    async with town(tmp_path, price=PRICE) as shop:
        old = await shop.new_key()
        new = await rotated(shop, old)
        await chat(shop, old)
        await chat(shop, new)
        kept = await shop.records.usage.list_records()
        assert {record.key_id for record in kept} == {old["id"], new["id"]}
