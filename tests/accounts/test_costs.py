"""`/v1/organization/costs`: what was charged by day, project, key and model, in OpenAI's shape."""

from typing import Any

from msgspec import structs

from parley.core.usage import Usage
from tests.builders_accounts import Town
from tests.builders_records import usage_record


async def test_costs_are_summed_by_day_project_and_model_over_all_endpoints(town: Town) -> None:
    owner = town.records.keys.authenticate(town.owner_key)
    day = 1_677_628_800
    rows = [
        (day + 10, "proj_1", "small", "/v1/chat/completions", 1_500_000_000),
        (day + 20, "proj_1", "large", "/v1/embeddings", 250_000_000),
        (day + 30, "proj_2", "large", "/v1/audio/transcriptions", 1),
        (day + 86_400, "proj_2", "large", "/v1/completions", 7_000_000_000),
    ]
    used = [
        structs.replace(
            usage_record(f"req_{num}"),
            created_at=float(when),
            organization_id=owner.organization_id,
            project_id=project_id,
            snapshot=model,
            endpoint=endpoint,
            usage=Usage(input_tokens=10),
            charge_nano=nano,
        )
        for num, (when, project_id, model, endpoint, nano) in enumerate(rows)
    ]
    used.append(structs.replace(used[0], request_id="req_foreign", organization_id="org-other", charge_nano=10**12))
    await town.records.database.transaction(lambda unit: town.records.usage.keep(unit.connection, used))
    path = f"/v1/organization/costs?start_time={day}&end_time={day + 2 * 86_400}"

    async def amounts(query: str, *names: str) -> list[tuple[Any, ...]]:
        page = await town.ok("GET", path + query)
        results = page["data"][0]["results"]
        return [(*[each[name] for name in names], each["amount"]["value"]) for each in results]

    page = await town.ok("GET", f"{path}&limit=1")
    assert page["object"] == "page"
    assert page["data"] == [
        {
            "object": "bucket",
            "start_time": day,
            "end_time": day + 86_400,
            "results": [
                {
                    "object": "organization.costs.result",
                    "amount": {"value": 1.750000001, "currency": "usd"},
                    "line_item": None,
                    "project_id": None,
                    "user_id": None,
                    "api_key_id": None,
                }
            ],
        }
    ]
    last = await town.ok("GET", f"{path}&limit=1&page={page['next_page']}")
    assert (last["data"][0]["results"][0]["amount"]["value"], last["has_more"]) == (7, False)
    assert await amounts("&group_by=project_id", "project_id") == [("proj_1", 1.75), ("proj_2", 0.000000001)]
    assert await amounts("&group_by=line_item", "line_item") == [("large", 0.250000001), ("small", 1.5)]
    assert await amounts("&group_by=line_item,project_id&project_ids=proj_1", "project_id", "line_item") == [
        ("proj_1", "large", 0.25),
        ("proj_1", "small", 1.5),
    ]
    empty = ("bucket_width=", "project_ids=", "project_ids=a,,b", "limit=", "end_time=")
    for wrong in ("bucket_width=1h", "group_by=model", "limit=181", "limit=0", *empty):
        assert (await town.call("GET", f"/v1/organization/costs?start_time={day}&{wrong}")).status_code == 400
