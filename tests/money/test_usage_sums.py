"""The sums of usage by minute, hour and day: kept with each record, and what every question is answered from."""

from collections.abc import Sequence
from pathlib import Path

import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from parley.core.usage import Usage, UsageRecord
from parley.domain.usage.model import Dimension, Span, SumFilter, Width
from parley.domain.usage.service import UsageRecords, sum_records, sum_sums
from parley.infra.db import Database
from parley.infra.schema import downgrade, upgrade
from parley.infra.sqlite import create_database_file, open_writer
from tests.builders_records import usage_record

DAY = 1_677_628_800


def record(number: int, **changes: object) -> UsageRecord:
    usage = Usage(input_tokens=10, cached_tokens=4, output_tokens=3, audio_seconds=2, images=(("256x256", 5),))
    return structs.replace(usage_record(f"req_{number}"), usage=usage, charge_nano=7, **changes)


async def keep(database: Database, records: Sequence[UsageRecord]) -> UsageRecords:
    usage = UsageRecords(database)
    await database.transaction(lambda unit: usage.keep(unit.connection, records))
    return usage


def span(width: Width, since: int, until: int, *, is_split: bool = True) -> Span:
    return Span(width=width, since=since, until=until, is_split=is_split)


EVERYBODY = SumFilter(organization_id=None)


async def test_a_record_counts_in_its_minute_its_hour_and_its_day(place: Path | str) -> None:
    times = [DAY + 0.5, DAY + 59.999, DAY + 60, DAY + 3_600, DAY + 86_400]
    async with await Database.open(place) as database:
        usage = await keep(database, [record(number, created_at=time) for number, time in enumerate(times)])

        async def counts(width: Width) -> list[tuple[int, int]]:
            found = await usage.sums(EVERYBODY, span(width, DAY, DAY + 2 * 86_400), [])
            return [(each.start_at - DAY, each.num_requests) for each in found]

        assert await counts(Width.MINUTE) == [(0, 2), (60, 1), (3_600, 1), (86_400, 1)]
        assert await counts(Width.HOUR) == [(0, 3), (3_600, 1), (86_400, 1)]
        assert await counts(Width.DAY) == [(0, 4), (86_400, 1)]


async def test_everything_that_is_counted_adds_up_over_several_commits(place: Path | str) -> None:
    async with await Database.open(place) as database:
        await keep(database, [record(1), record(2)])
        usage = await keep(database, [record(3)])
        (found,) = await usage.sums(EVERYBODY, span(Width.DAY, DAY, DAY + 86_400), [])
        assert (found.num_requests, found.num_images, found.charge_nano) == (3, 15, 21)
        assert found.usage == Usage(input_tokens=30, cached_tokens=12, output_tokens=9, audio_seconds=6)


async def test_a_record_that_is_refused_counts_nowhere(place: Path | str) -> None:
    async with await Database.open(place) as database:
        usage = await keep(database, [record(1)])
        try:
            await keep(database, [record(2), record(1)])
        except sa.exc.IntegrityError:
            pass
        else:
            raise AssertionError("a second record of a request was kept")
        (found,) = await usage.sums(EVERYBODY, span(Width.DAY, DAY, DAY + 86_400), [])
        assert found.num_requests == 1


async def test_sums_are_grouped_and_filtered_by_every_dimension(place: Path | str) -> None:
    changed = {
        Dimension.ORGANIZATION: {"organization_id": "org-2"},
        Dimension.PROJECT: {"project_id": "proj_2"},
        Dimension.USER: {"user_id": "user-2", "key_id": "key_of_user"},
        Dimension.KEY: {"key_id": "key_2"},
        Dimension.MODEL: {"snapshot": "other"},
        Dimension.ENDPOINT: {"endpoint": "/v1/edits"},
    }
    filters = {
        Dimension.ORGANIZATION: SumFilter(organization_id="org-2"),
        Dimension.PROJECT: SumFilter(organization_id=None, project_ids=frozenset({"proj_2"})),
        Dimension.USER: SumFilter(organization_id=None, user_ids=frozenset({"user-2"})),
        Dimension.KEY: SumFilter(organization_id=None, key_ids=frozenset({"key_2"})),
        Dimension.MODEL: SumFilter(organization_id=None, models=frozenset({"other"})),
        Dimension.ENDPOINT: SumFilter(organization_id=None, endpoints=frozenset({"/v1/edits"})),
    }
    whole = span(Width.DAY, DAY, DAY + 86_400, is_split=False)
    async with await Database.open(place) as database:
        records = [record(0), *(record(1 + at, **fields) for at, fields in enumerate(changed.values()))]
        usage = await keep(database, records)
        for dimension, fields in changed.items():
            wanted = next(iter(fields.values()))
            groups = {each.group[dimension]: each for each in await usage.sums(EVERYBODY, whole, [dimension])}
            assert groups[wanted].num_requests == 1
            assert sum(each.num_requests for each in groups.values()) == 7
            (only,) = await usage.sums(filters[dimension], whole, [dimension])
            assert (only.group, only.num_requests) == ({dimension: wanted}, 1)


@settings(max_examples=25)
@given(
    st.lists(
        st.tuples(st.integers(0, 3 * 86_400), st.sampled_from("ab"), st.sampled_from("xy"), st.integers(0, 50)),
        max_size=30,
    )
)
async def test_the_sums_of_any_width_are_those_of_the_records(tmp_path_factory, used) -> None:
    async with await Database.open(tmp_path_factory.mktemp("sums") / "parley.db") as database:
        records = [
            structs.replace(
                usage_record(f"req_{number}"),
                created_at=float(DAY + second),
                project_id=project,
                snapshot=model,
                charge_nano=nano,
            )
            for number, (second, project, model, nano) in enumerate(used)
        ]
        usage = await keep(database, records)
        for width in Width:
            found = await usage.sums(EVERYBODY, span(width, DAY, DAY + 4 * 86_400), [Dimension.PROJECT])
            wanted: dict[tuple[int, str], int] = {}
            for each in records:
                start = int(each.created_at) // width * width
                wanted[start, each.project_id] = wanted.get((start, each.project_id), 0) + each.charge_nano
            assert {(each.start_at, each.group[Dimension.PROJECT]): each.charge_nano for each in found} == wanted
        total = sum(nano for *_, nano in used)
        for width in Width:
            summed = await database.read(lambda connection, width=width: sum_sums(connection, width))
            assert summed == await database.read(sum_records)
            assert summed.get(("org-1", "charge_nano"), 0) == total


def test_records_of_an_older_version_are_in_the_sums_after_the_step_to_them(tmp_path: Path) -> None:
    path = tmp_path / "parley.db"
    create_database_file(path, upgrade)
    engine = open_writer(path)
    with engine.connect() as connection:
        downgrade(connection, "0010")
        columns = (
            "request_id, created_at, organization_id, project_id, key_id, endpoint, requested_model, snapshot, weights,"
            " price_version, charge_nano, outcome, input_tokens, cached_tokens, output_tokens, num_choices, is_stream,"
            " queue_seconds, e2e_seconds, metadata"
        )
        with connection.begin():
            connection.exec_driver_sql("INSERT INTO organizations (id, name, created_at) VALUES ('org-1', 'o', 1.0)")
            connection.exec_driver_sql(
                "INSERT INTO projects (id, organization_id, name, created_at) VALUES ('proj_1', 'org-1', 'p', 1.0)"
            )
            connection.exec_driver_sql(
                "INSERT INTO keys (id, organization_id, project_id, name, digest, last_four, scopes, created_at, user_id)"
                " VALUES ('key_1', 'org-1', 'proj_1', 'k', x'01', 'aaaa', '[]', 1.0, 'user-1')"
            )
            for number, time in enumerate([DAY + 59.99, DAY + 60.0, DAY + 86_399.99, DAY + 86_400.0]):
                connection.exec_driver_sql(
                    f"INSERT INTO usage_records ({columns}) VALUES ('req_{number}', {time}, 'org-1', 'proj_1', 'key_1',"
                    " '/v1/completions', 'm', 'm', 'w', 'v', 5, 'finished', 10, 1, 2, 1, 0, 0.0, 0.1, '{}')"
                )
        upgrade(connection)
        with connection.begin():
            rows = connection.exec_driver_sql(
                "SELECT width_seconds, start_at, user_id, num_requests, input_tokens, charge_nano FROM usage_sums"
                " ORDER BY width_seconds, start_at"
            ).all()
    engine.dispose()
    assert [(width, start - DAY, user, num, tokens, nano) for width, start, user, num, tokens, nano in rows] == [
        (60, 0, "user-1", 1, 10, 5),
        (60, 60, "user-1", 1, 10, 5),
        (60, 86_340, "user-1", 1, 10, 5),
        (60, 86_400, "user-1", 1, 10, 5),
        (3_600, 0, "user-1", 2, 20, 10),
        (3_600, 82_800, "user-1", 1, 10, 5),
        (3_600, 86_400, "user-1", 1, 10, 5),
        (86_400, 0, "user-1", 3, 30, 15),
        (86_400, 86_400, "user-1", 1, 10, 5),
    ]
