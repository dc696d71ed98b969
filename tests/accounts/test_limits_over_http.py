"""Limits as a client meets them: the headers of every reply, the bodies of refusals, and when to come again."""

from pathlib import Path
from typing import Any

import httpx
import pytest
from msgspec import structs

from parley.core.usage import Outcome, Usage
from tests.builders_accounts import Town, town
from tests.builders_records import usage_record
from tests.builders_serving import BrokenEngine

SIX = [f"x-ratelimit-{word}-{kind}" for word in ("limit", "remaining", "reset") for kind in ("requests", "tokens")]
HOUSE = "/v1/organization/projects"
CHAT: dict[str, Any] = {"model": "echo-1", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 10}


async def chat(town: Town, key: str, **fields: Any) -> httpx.Response:
    return await town.call("POST", "/v1/chat/completions", CHAT | fields, key=key)


async def metered_key(town: Town, **fields: Any) -> str:
    return (await town.new_key(await town.sign_up("ada@example.org"), **fields))["value"]


def told(reply: httpx.Response) -> dict[str, str]:
    return {name: reply.headers[name] for name in SIX}


async def test_e10_every_reply_says_how_the_limits_stand(town: Town) -> None:
    key = await metered_key(town)
    first, stream = await chat(town, key), await chat(town, key, stream=True)
    assert (first.status_code, stream.status_code) == (200, 200)
    assert told(first)["x-ratelimit-limit-requests"] == "20"
    assert told(first)["x-ratelimit-limit-tokens"] == "40000"
    assert told(first)["x-ratelimit-remaining-requests"] == "19"
    assert told(stream)["x-ratelimit-remaining-requests"] == "18"
    assert told(first)["x-ratelimit-reset-requests"] == "3s"
    usage = first.json()["usage"]
    # The worst case was taken when the headers were written; what was unused came back for the next.
    assert int(told(first)["x-ratelimit-remaining-tokens"]) == 40_000 - usage["prompt_tokens"] - 10
    left = int(told(stream)["x-ratelimit-remaining-tokens"])
    assert left == 40_000 - usage["total_tokens"] - usage["prompt_tokens"] - 10


async def test_e10_a_reply_that_was_kept_says_how_the_limits_stand_and_takes_nothing(town: Town) -> None:
    key = await metered_key(town, limits={"requests_per_minute": 10})
    first, again = [
        await town.call("POST", "/v1/chat/completions", CHAT, key=key, idempotency_key="order-1") for _ in range(2)
    ]
    assert again.headers["idempotent-replayed"] == "true"
    assert again.json() == first.json()
    assert told(again)["x-ratelimit-limit-requests"] == "10"
    assert told(again)["x-ratelimit-remaining-requests"] == "9"


async def test_a_reply_that_comes_before_the_limits_are_met_says_how_they_stand_and_takes_nothing(town: Town) -> None:
    key = await metered_key(town, limits={"requests_per_minute": 10})
    await chat(town, key)
    refused = [
        await chat(town, key, temperature="hot"),
        await chat(town, key, model="no-such-model"),
        await chat(town, key, max_tokens=10_000),
        await town.call("POST", "/v1/chat/completions", key=key),
    ]
    assert [reply.status_code for reply in refused] == [400, 404, 400, 400]
    for reply in refused:
        assert told(reply)["x-ratelimit-limit-requests"] == "10"
        assert told(reply)["x-ratelimit-remaining-requests"] == "9"
        assert told(reply)["x-ratelimit-limit-tokens"] == "40000"
    last = await chat(town, key)
    assert told(last)["x-ratelimit-remaining-requests"] == "8"


async def test_the_twenty_first_request_is_refused_with_openais_words_and_a_wait(town: Town) -> None:
    key = await metered_key(town)
    statuses = [(await chat(town, key, max_tokens=1)).status_code for _ in range(20)]
    refused = await chat(town, key, max_tokens=1)
    assert statuses == [200] * 20
    error = refused.json()["error"]
    assert (refused.status_code, error["type"], error["code"]) == (429, "requests", "rate_limit_exceeded")
    assert error["message"].startswith("Rate limit reached for echo-1 in organization org-")
    assert "on requests per min (RPM): Limit 20, Used 20, Requested 1. Please try again in 3s." in error["message"]
    assert told(refused)["x-ratelimit-remaining-requests"] == "0"
    # Three seconds, moved by a fifth at most.
    assert 2_400 <= int(refused.headers["retry-after-ms"]) <= 3_600
    assert 3 <= int(refused.headers["retry-after"]) <= 4
    town.clock.advance(3)
    assert (await chat(town, key, max_tokens=1)).status_code == 200


async def test_a_request_above_the_limit_is_told_not_to_come_again(town: Town) -> None:
    key = await metered_key(town, limits={"tokens_per_minute": 5})
    refused = await chat(town, key)
    assert (refused.status_code, refused.json()["error"]["type"]) == (429, "tokens")
    assert refused.headers["x-should-retry"] == "false"
    assert "retry-after" not in refused.headers
    assert told(refused)["x-ratelimit-limit-tokens"] == "5"


async def test_open_refuses_nothing_and_metered_refuses_the_house_too(tmp_path: Path) -> None:
    async with town(tmp_path / "open") as here:
        replies = [await chat(here, here.owner_key, max_tokens=1) for _ in range(30)]
        assert {reply.status_code for reply in replies} == {200}
        assert told(replies[-1])["x-ratelimit-remaining-requests"] == "1000000000"
    async with town(tmp_path / "metered", mode="metered") as here:
        house = here.records.keys.authenticate(here.owner_key).organization_id
        await here.ok("POST", f"/v1/organizations/{house}", {"tier": "free"})
        statuses = [(await chat(here, here.owner_key, max_tokens=1)).status_code for _ in range(21)]
        assert statuses == [200] * 20 + [429]


async def test_a_reply_that_takes_nothing_says_how_the_limits_stand_too(town: Town) -> None:
    ada = await town.sign_up("ada@example.org")
    key = (await town.new_key(ada, limits={"requests_per_minute": 10}))["value"]
    await chat(town, key)
    for path, status in (("/v1/models", 200), ("/v1/models/nothing", 404)):
        reply = await town.call("GET", path, key=key)
        assert (reply.status_code, told(reply)["x-ratelimit-limit-requests"]) == (status, "10")
    reply = await ada.call("GET", HOUSE)
    assert (reply.status_code, told(reply)["x-ratelimit-limit-requests"]) == (200, "20")
    assert not set(SIX) & set((await town.call("GET", "/v1/models", key="sk-wrong")).headers)


async def test_a_failure_of_the_engine_has_the_headers_too(tmp_path: Path) -> None:
    async with town(tmp_path, engine=BrokenEngine(0)) as here:
        reply = await chat(here, await metered_key(here))
        assert reply.status_code == 500
        assert told(reply)["x-ratelimit-remaining-requests"] == "19"


async def test_what_is_over_leaves_no_place_taken(town: Town) -> None:
    key = await metered_key(town, limits={"concurrent_requests": 1})
    for stream in (False, True, False):
        assert (await chat(town, key, stream=stream)).status_code == 200


async def test_a_project_has_its_own_limits_by_model(town: Town) -> None:
    path = f"/v1/organization/projects/{await town.project_id()}/rate_limits"
    listed = (await town.ok("GET", f"{path}?limit=100"))["data"]
    by_id = {limit["id"]: limit for limit in listed}
    assert by_id["rl-gpt-4-0314"]["max_requests_per_1_minute"] == 1_000_000_000
    changed = await town.ok("POST", f"{path}/rl-gpt-4-0314", {"max_requests_per_1_minute": 3})
    assert changed["max_requests_per_1_minute"] == 3
    assert (await town.call("POST", f"{path}/rl-nothing", {"max_requests_per_1_minute": 3})).status_code == 404
    assert (await town.call("POST", f"{path}/nothing", {"max_requests_per_1_minute": 3})).status_code == 404
    entry = (await town.ok("GET", "/v1/organization/audit_logs?limit=1"))["data"][0]
    assert (entry["type"], entry["after"]["requests_per_minute"]) == ("rate_limit.updated", 3)


async def test_limits_are_listed_page_by_page_both_ways(town: Town) -> None:
    path = f"/v1/organization/projects/{await town.project_id()}/rate_limits"

    async def page(query: str) -> tuple[list[str], bool]:
        found = await town.ok("GET", f"{path}?{query}")
        return [limit["id"] for limit in found["data"]], found["has_more"]

    everything, _ = await page("limit=100")
    assert everything == sorted(everything)
    assert await page(f"limit=2&after={everything[1]}") == (everything[2:4], True)
    assert await page(f"limit=2&before={everything[4]}") == (everything[2:4], True)
    assert await page(f"limit=2&before={everything[2]}") == (everything[:2], False)


async def test_a_project_cannot_raise_the_tier_of_its_organization(town: Town) -> None:
    ada = await town.sign_up("ada@example.org")
    path = f"/v1/organization/projects/{await town.project_id(ada)}/rate_limits/rl-gpt-4-0314"
    changed = await ada.call("POST", path, {"max_requests_per_1_minute": 9_999, "max_tokens_per_1_minute": 7})
    assert changed.json()["max_requests_per_1_minute"] == 20
    assert changed.json()["max_tokens_per_1_minute"] == 7


async def test_a_tier_counts_from_the_moment_it_is_given(town: Town) -> None:
    ada = await town.sign_up("ada@example.org")
    key = (await town.new_key(ada))["value"]
    path = f"/v1/organizations/{ada.organization_id}"
    assert (await town.call("POST", path, {"tier": "platinum"})).status_code == 400
    await town.ok("POST", path, {"tier": "paid"})
    assert told(await chat(town, key))["x-ratelimit-limit-requests"] == "3500"


async def test_usage_is_summed_in_buckets_by_project_key_and_model(town: Town) -> None:
    key = await town.new_key()
    owner = town.records.keys.authenticate(town.owner_key)
    day = 1_677_628_800
    used = []
    for num, (when, key_id) in enumerate([(day + 10, key["id"]), (day + 20, "key_x"), (day + 86_400, key["id"])]):
        record = usage_record(f"req_{num}")
        changed = {
            "created_at": float(when),
            "organization_id": owner.organization_id,
            "project_id": key["project_id"],
            "key_id": key_id,
            "outcome": Outcome.FINISHED,
            "usage": Usage(input_tokens=10, cached_tokens=2, output_tokens=3),
        }
        used.append(structs.replace(record, **changed))
    await town.records.database.transaction(lambda unit: town.records.usage.keep(unit.connection, used))
    path = f"/v1/organization/usage/completions?start_time={day}&end_time={day + 3 * 86_400}"
    page = await town.ok("GET", f"{path}&limit=2")
    first, second = page["data"]
    assert (first["start_time"], first["end_time"]) == (day, day + 86_400)
    assert first["results"][0]["num_model_requests"] == 2
    assert first["results"][0]["input_tokens"] == 20
    assert first["results"][0]["input_cached_tokens"] == 4
    assert first["results"][0]["output_tokens"] == 6
    assert second["results"][0]["num_model_requests"] == 1
    assert page["has_more"]
    last = await town.ok("GET", f"{path}&limit=2&page={page['next_page']}")
    assert [bucket["results"] for bucket in last["data"]] == [[]]
    grouped = await town.ok("GET", f"{path}&limit=1&group_by[]=api_key_id")
    assert {result["api_key_id"] for result in grouped["data"][0]["results"]} == {key["id"], "key_x"}
    only = await town.ok("GET", f"{path}&limit=1&api_key_ids[]={key['id']}")
    assert only["data"][0]["results"][0]["num_model_requests"] == 1
    assert (await town.call("GET", "/v1/organization/usage/completions")).status_code == 400


@pytest.mark.parametrize("query", ["bucket_width=2d", "limit=32", "group_by=shoe_size", "page=x", "start_time=soon"])
async def test_a_question_about_usage_that_makes_no_sense_is_refused(town: Town, query: str) -> None:
    assert (await town.call("GET", f"/v1/organization/usage/completions?start_time=1&{query}")).status_code == 400
