"""`parley usage` and `parley audit` on a folder where no server runs: tables for people, files for programs."""

import asyncio
import csv
import io
import json
import sqlite3
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from msgspec import structs

from parley.cli import audit, ledger, orgs, usage
from parley.core.clock import FakeClock
from parley.operations.records import open_records
from tests.builders_records import settings_in, usage_record

DAY = 1_677_628_800


@pytest.fixture(name="folder")
def _used(folder: Path) -> Path:
    """The folder, with three requests on three days."""

    async def use() -> None:
        async with open_records(settings_in(folder), FakeClock()) as records:
            accounts = records.accounts
            own = await records.database.read(
                lambda connection: accounts.default_project(connection, accounts.house_id(connection))
            )
            used = [
                structs.replace(
                    usage_record(f"req_{number}"),
                    created_at=float(DAY + number * 86_400),
                    organization_id=own.organization_id,
                    project_id=own.id,
                    snapshot=model,
                    charge_nano=1_234_000_000,
                )
                for number, model in enumerate(["small", "large", "small"])
            ]
            await records.database.transaction(lambda unit: records.usage.keep(unit.connection, used))

    asyncio.run(use())
    return folder


def run(command, *words: str, folder: Path) -> Result:
    return CliRunner().invoke(command, [*words, "--data", str(folder)])


SPAN = ("--since", "2023-03-01", "--until", "2023-03-02")


def test_usage_is_shown_by_day_and_model_with_its_cost(folder: Path) -> None:
    lines = run(usage.command, *SPAN, folder=folder).stdout.splitlines()
    assert lines[0].split() == [
        *("START", "MODEL", "REQUESTS", "INPUT", "TOKENS", "CACHED", "TOKENS", "OUTPUT", "TOKENS"),
        *("AUDIO", "SECONDS", "IMAGES", "COST"),
    ]
    assert lines[1].split() == ["2023-03-01", "small", "1", "12", "3", "7", "5", "2", "$1.234"]
    assert lines[2].split()[:2] == ["2023-03-02", "large"]
    assert len(lines) == 3


def test_usage_without_a_step_of_time_is_one_sum_with_the_names_of_its_groups(folder: Path) -> None:
    shown = run(usage.command, "--since", "2023-03-01", "--by", "org,project", folder=folder).stdout
    assert "(Default project)" in shown
    assert "$3.702" in shown
    assert len(shown.splitlines()) == 2


def test_usage_comes_as_csv_and_as_json(folder: Path) -> None:
    (row, _) = csv.DictReader(io.StringIO(run(usage.command, *SPAN, "--csv", folder=folder).stdout))
    assert (row["start"], row["model"], row["cost_usd"], row["cost_nano"]) == (
        *("2023-03-01", "small", "1.234000000", "1234000000"),
    )
    by = ("--by", "minute,endpoint,key,user")
    lines = run(usage.command, *SPAN, *by, "--json", folder=folder).stdout.splitlines()
    line = json.loads(lines[0])
    assert (line["start"], line["endpoint"], line["api_key_id"]) == (
        *("2023-03-01T00:00Z", "/v1/chat/completions", "key_1"),
    )


def test_a_time_without_usage_is_one_line(folder: Path) -> None:
    shown = run(usage.command, "--since", "2001-01-01", "--until", "2001-02-01", folder=folder)
    assert (shown.exit_code, shown.stdout) == (0, "Nothing was used in that time.\n")
    other = run(orgs.command, "create", "Other", folder=folder).stdout.strip()
    assert run(usage.command, *SPAN, "--org", other, folder=folder).stdout == "Nothing was used in that time.\n"


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--by", "shoe"), "not 'shoe'"),
        (("--by", "day,hour"), "takes one of"),
        (("--since", "2023-03-02", "--until", "2023-03-01"), "--since is after --until"),
        (("--until", "9999-12-31"), "--until is the last day"),
    ],
)
def test_a_question_that_makes_no_sense_is_refused_in_words(folder: Path, words: tuple[str, ...], reason: str) -> None:
    refused = run(usage.command, *words, folder=folder)
    assert refused.exit_code == 2
    assert reason in refused.stderr


def test_sums_that_do_not_agree_with_the_records_are_named(folder: Path) -> None:
    with sqlite3.connect(folder / "parley.db") as connection:
        connection.execute("UPDATE usage_sums SET charge_nano = charge_nano + 1 WHERE width_seconds = 86400")
    verified = run(ledger.command, "verify", folder=folder)
    assert verified.exit_code == 1
    assert "come to 3702000000 charge_nano, their sums by day to 3702000003" in verified.stderr


def test_the_audit_log_is_shown_and_exported(folder: Path) -> None:
    organization = run(orgs.command, "create", "=Acme", folder=folder).stdout.strip()
    run(orgs.command, "suspend", organization, folder=folder)
    shown = run(audit.command, folder=folder).stdout.splitlines()
    assert shown[0].split() == ["TIME", "WHAT", "OF", "BY", "FROM"]
    assert "organization.updated" in shown[1]
    assert "the command line" in shown[1]
    assert "organization.created" in shown[2]
    lines = [json.loads(line) for line in run(audit.command, "--json", folder=folder).stdout.splitlines()]
    assert lines[0]["after"]["status"] == "suspended"
    (first, *_) = csv.DictReader(io.StringIO(run(audit.command, "--csv", folder=folder).stdout))
    assert json.loads(first["before"])["status"] == "active"
    other = run(orgs.command, "create", "Other", folder=folder).stdout.strip()
    assert "organization.updated" not in run(audit.command, "--org", other, folder=folder).stdout
