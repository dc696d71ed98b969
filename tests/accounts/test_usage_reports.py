"""Usage and costs as the newest official client reads them, and as files."""

import csv
import io
import json

import pytest
from msgspec import structs
from openai import AsyncOpenAI

from parley.core.usage import Usage
from tests.builders_accounts import Town
from tests.builders_records import usage_record

DAY = 1_677_628_800


@pytest.fixture
async def used(town: Town) -> Town:
    """A town whose organization used three endpoints on two days, by two people."""
    owner = town.records.keys.authenticate(town.owner_key)
    rows = [
        (DAY + 10, "key_a", "user-a", "small", "/v1/chat/completions", 1_500_000_000),
        (DAY + 3_700, "key_b", "user-b", "large", "/v1/chat/completions", 2),
        (DAY + 3_800, "key_b", "user-b", "whisper-1", "/v1/audio/transcriptions", 30),
        (DAY + 86_400, "key_a", "user-a", "images", "/v1/images/generations", 16_000_000),
    ]
    records = [
        structs.replace(
            usage_record(f"req_{number}"),
            created_at=float(when),
            organization_id=owner.organization_id,
            project_id="=proj",
            key_id=key,
            user_id=user,
            snapshot=model,
            endpoint=endpoint,
            charge_nano=nano,
        )
        for number, (when, key, user, model, endpoint, nano) in enumerate(rows)
    ]
    records.append(structs.replace(records[0], request_id="req_foreign", organization_id="org-other"))
    await town.records.database.transaction(lambda unit: town.records.usage.keep(unit.connection, records))
    return town


def official(town: Town) -> AsyncOpenAI:
    return AsyncOpenAI(
        api_key="none", admin_api_key=town.owner_key, base_url="http://parley.test/v1", http_client=town.client
    )


async def test_the_official_client_reads_usage_of_completions(used: Town) -> None:
    usage = official(used).admin.organization.usage
    page = await usage.completions(
        start_time=DAY + 5, end_time=DAY + 7_000, bucket_width="1h", group_by=["user_id", "model", "batch"]
    )
    assert [(bucket.start_time, bucket.end_time) for bucket in page.data] == [
        (DAY, DAY + 3_600),
        (DAY + 3_600, DAY + 7_200),
    ]
    (second,) = page.data[1].results
    assert second.object == "organization.usage.completions.result"
    assert (second.user_id, second.model, second.batch, second.project_id) == ("user-b", "large", False, None)
    assert (second.input_tokens, second.output_tokens, second.input_cached_tokens) == (12, 7, 3)
    assert not page.has_more
    only = await usage.completions(start_time=DAY, end_time=DAY + 1, user_ids=["user-a"])
    assert [result.num_model_requests for result in only.data[0].results] == [1]
    batches = await usage.completions(start_time=DAY, end_time=DAY + 1, batch=True)
    assert batches.data[0].results == []


async def test_the_official_client_turns_the_pages_of_usage(used: Town) -> None:
    usage = official(used).admin.organization.usage
    starts, page_mark = [], None
    for _ in range(4):
        more = {} if page_mark is None else {"page": page_mark}
        page = await usage.completions(start_time=DAY, end_time=DAY + 600, bucket_width="1m", limit=3, **more)
        starts += [bucket.start_time for bucket in page.data]
        page_mark = page.next_page
    assert starts == [DAY + 60 * minute for minute in range(10)]
    assert page_mark is None


async def test_the_official_client_reads_usage_of_audio_and_images(used: Town) -> None:
    usage = official(used).admin.organization.usage
    spoken = await usage.audio_transcriptions(start_time=DAY, end_time=DAY + 1)
    assert [(each.seconds, each.num_model_requests) for each in spoken.data[0].results] == [(5, 1)]
    drawn = await usage.images(start_time=DAY + 86_400, end_time=DAY + 86_401)
    assert [(each.images, each.object) for each in drawn.data[0].results] == [(2, "organization.usage.images.result")]
    assert (await usage.embeddings(start_time=DAY, end_time=DAY + 1)).data[0].results == []


async def test_the_official_client_reads_costs(used: Town) -> None:
    costs = await official(used).admin.organization.usage.costs(
        start_time=DAY, end_time=DAY + 2 * 86_400, group_by=["line_item", "user_id"]
    )
    found = [(each.line_item, each.user_id, each.amount.value) for each in costs.data[0].results]
    assert sorted(found) == [("large", "user-b", 2e-9), ("small", "user-a", 1.5), ("whisper-1", "user-b", 3e-8)]
    assert costs.data[0].results[0].amount.currency == "usd"
    some = await official(used).admin.organization.usage.costs(
        start_time=DAY, end_time=DAY + 1, line_items=["whisper-1"]
    )
    assert some.data[0].results[0].amount.value == 3e-8


async def test_usage_is_exported_whole_as_csv_that_no_spreadsheet_runs(used: Town) -> None:
    path = f"/v1/organization/usage/export?start_time={DAY}&end_time={DAY + 86_401}&group_by=project_id,model,endpoint"
    reply = await used.call("GET", f"{path}&format=csv")
    assert reply.headers["content-type"].startswith("text/csv")
    assert reply.headers["content-disposition"] == 'attachment; filename="usage.csv"'
    rows = list(csv.DictReader(io.StringIO(reply.text)))
    assert [(row["start"], row["model"], row["cost_nano"], row["cost_usd"]) for row in rows] == [
        ("2023-03-01", "large", "2", "0.000000002"),
        ("2023-03-01", "small", "1500000000", "1.500000000"),
        ("2023-03-01", "whisper-1", "30", "0.000000030"),
        ("2023-03-02", "images", "16000000", "0.016000000"),
    ]
    assert {row["project_id"] for row in rows} == {"'=proj"}
    assert rows[2]["audio_seconds"] == "5"


async def test_usage_is_exported_as_json_lines_with_the_names_of_what_it_is_grouped_by(used: Town) -> None:
    key = await used.new_key(name="the app")
    owner = used.records.keys.authenticate(used.owner_key)
    mine = structs.replace(
        usage_record("req_named"),
        created_at=float(DAY),
        organization_id=owner.organization_id,
        project_id=key["project_id"],
        key_id=key["id"],
        usage=Usage(input_tokens=1),
    )
    await used.records.database.transaction(lambda unit: used.records.usage.keep(unit.connection, [mine]))
    path = f"/v1/organization/usage/export?start_time={DAY}&end_time={DAY + 1}&bucket_width=1h"
    reply = await used.call("GET", f"{path}&group_by=api_key_id,project_id&project_ids={key['project_id']}")
    (line,) = [json.loads(line) for line in reply.text.splitlines()]
    assert (line["start"], line["requests"], line["input_tokens"]) == ("2023-03-01T00:00Z", 1, 1)
    assert (line["api_key"], line["project"]) == ("the app", "Default project")


@pytest.mark.parametrize("form", ["jsonl", "csv"])
async def test_a_long_export_comes_whole_and_in_its_order_portion_by_portion(
    used: Town, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    span = f"start_time={DAY}&end_time={DAY + 86_401}"
    path = f"/v1/organization/usage/export?{span}&group_by=project_id,model,endpoint&format={form}"
    at_once = await used.call("GET", path)
    assert at_once.text.count("\n") > 3
    monkeypatch.setattr("parley.api.platform.usage_export.PORTION_ROWS", 2)
    assert (await used.call("GET", path)).text == at_once.text


async def test_usage_of_another_organization_is_nowhere(used: Town) -> None:
    ada = await used.sign_up("ada@example.org")
    for kind in ("usage/completions", "usage/images", "costs"):
        reply = await ada.call("GET", f"/v1/organization/{kind}?start_time={DAY}&end_time={DAY + 1}")
        assert reply.json()["data"][0]["results"] == []
    assert (await ada.call("GET", f"/v1/organization/usage/export?start_time={DAY}")).text == ""


@pytest.mark.parametrize("query", ["format=xml", "bucket_width=2d", "group_by=shoe_size", "start_time=soon"])
async def test_an_export_that_makes_no_sense_is_refused(town: Town, query: str) -> None:
    assert (await town.call("GET", f"/v1/organization/usage/export?start_time=1&{query}")).status_code == 400
