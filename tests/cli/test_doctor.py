"""`parley doctor`: a sound machine gives no problem, and each fault one line with what to do."""

import asyncio
import os
import socket
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from parley.api.platform.control import ControlServer
from parley.cli.commands import parley
from parley.cli.doctor import Finding, Verdict, examine
from parley.core.clock import FakeClock
from parley.infra.settings import Settings
from parley.operations.first_start import ensure_owner
from parley.operations.owner_key import warn_of_unknown_owner_key
from parley.operations.records import open_records
from tests.builders_pull import fake_hub
from tests.builders_records import settings_in
from tests.live import free_port


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_in(tmp_path / "d", port=free_port())


async def started(settings: Settings) -> None:
    async with open_records(settings, FakeClock()) as records:
        await ensure_owner(records, None)


async def findings(settings: Settings, verdict: Verdict) -> list[str]:
    """In a thread, as it runs a loop of its own."""
    found = await asyncio.to_thread(lambda: list(examine(settings)))
    return [finding.text for finding in found if finding.verdict is verdict]


async def test_a_folder_in_use_has_no_problem(settings: Settings) -> None:
    await started(settings)
    assert await findings(settings, Verdict.PROBLEM) == []
    fine = " ".join(await findings(settings, Verdict.OK))
    for word in (
        "data folder",
        "database",
        "model parley-mini is the file that ships",
        f"port {settings.port} is free",
        "memory",
        "disk",
    ):
        assert word in fine


async def test_before_the_first_start_nothing_is_wrong_and_nothing_is_made(settings: Settings) -> None:
    assert await findings(settings, Verdict.PROBLEM) == []
    assert not settings.data.exists()


def test_it_ends_with_1_when_there_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "parley.db").write_text("garbage")
    done = CliRunner().invoke(parley, ["doctor", "--data", str(tmp_path)])
    assert done.exit_code == 1
    assert "problem" in done.stdout


def open_to_others(folder: Path) -> None:
    (folder / "owner.key").chmod(0o644)


def lose_the_database(folder: Path) -> None:
    (folder / "parley.db").unlink()


def zero_a_page(folder: Path) -> None:
    with (folder / "parley.db").open("r+b") as file:
        file.seek(4096)
        file.write(bytes(4096))


def mistype_the_catalog(folder: Path) -> None:
    (folder / "catalog.toml").write_text("default_weights = ")


def lose_the_pepper(folder: Path) -> None:
    (folder / "pepper").unlink()


def take_another_pepper(folder: Path) -> None:
    (folder / "pepper").write_text("ab" * 32 + "\n")


def mistype_the_tiers(folder: Path) -> None:
    (folder / "tiers.toml").write_text("[paid\n")


def at_revision(revision: str) -> Callable[[Path], None]:
    def set_it(folder: Path) -> None:
        with closing(sqlite3.connect(folder / "parley.db")) as connection:
            connection.execute("UPDATE alembic_version SET version_num = ?", (revision,))
            connection.commit()

    return set_it


@pytest.mark.parametrize(
    ("fault", "verdict", "said"),
    [
        (open_to_others, Verdict.WARNING, "chmod go="),
        (lose_the_database, Verdict.PROBLEM, "restore a backup"),
        (zero_a_page, Verdict.PROBLEM, "damaged"),
        (mistype_the_catalog, Verdict.PROBLEM, "is not TOML"),
        (lose_the_pepper, Verdict.PROBLEM, "pepper is missing"),
        (take_another_pepper, Verdict.PROBLEM, "does not know the key in"),
        (mistype_the_tiers, Verdict.PROBLEM, "tiers.toml cannot be read as TOML"),
        (at_revision("0990"), Verdict.PROBLEM, "use a newer Parley"),
        (at_revision("0050"), Verdict.WARNING, "of an older Parley"),
    ],
)
async def test_a_fault_is_named_with_what_to_do(
    settings: Settings, fault: Callable[[Path], None], verdict: Verdict, said: str
) -> None:
    await started(settings)
    fault(settings.data)
    assert any(said in text for text in await findings(settings, verdict))


async def test_an_owners_key_that_is_kept_elsewhere_is_no_fault(settings: Settings) -> None:
    await started(settings)
    (settings.data / "owner.key").unlink()
    assert await findings(settings, Verdict.PROBLEM) == []


async def test_a_postgresql_that_is_away_is_found(settings: Settings, tmp_path: Path) -> None:
    await started(settings)
    away = settings.model_copy(update={"database_url": f"postgresql://parley@/nothing?host={tmp_path}"})
    assert any("cannot be reached" in text for text in await findings(away, Verdict.PROBLEM))


async def test_a_start_with_another_pepper_says_that_the_owners_key_does_not_count(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    await started(settings)
    for fault, said in ((lambda _: None, False), (take_another_pepper, True)):
        fault(settings.data)
        async with open_records(settings, FakeClock()) as records:
            await warn_of_unknown_owner_key(records)
        assert ("does not know the key in" in caplog.text) is said


async def test_a_model_that_is_not_what_was_added_is_found(settings: Settings, tmp_path: Path) -> None:
    await started(settings)
    catalog = settings.data / "catalog.toml"
    entry = (
        '\n[[weights]]\nname = "mine"\nengine = "llama"\nfile = "models/mine.gguf"\n'
        f'sha256 = "{"0" * 64}"\ncontext = 2048\ntemplate = "chatml"\n\n[prices.free]'
    )
    catalog.write_text(catalog.read_text().replace("\n[prices.free]", entry))
    (settings.data / "models" / "mine.gguf").write_bytes(b"something else")
    assert any("is not the file that was added" in text for text in await findings(settings, Verdict.PROBLEM))


async def test_a_llama_build_that_cannot_be_used_is_found(settings: Settings, tmp_path: Path) -> None:
    named = settings.model_copy(update={"llama_build": tmp_path / "nothing"})
    assert any("`make native` again" in text for text in await findings(named, Verdict.PROBLEM))


async def test_a_busy_port_is_named_with_the_setting_that_changes_it(settings: Settings) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", settings.port))
        listener.listen()
        assert any("PARLEY_PORT" in text for text in await findings(settings, Verdict.PROBLEM))


async def test_a_running_server_is_no_busy_port(settings: Settings) -> None:
    async with open_records(settings, FakeClock()) as records:
        async with ControlServer(records, url="http://here", in_use=lambda _: False):
            fine = await findings(settings, Verdict.OK)
    assert any(f"pid {os.getpid()}) at http://here" in text for text in fine)


def test_a_mistyped_variable_is_said(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARLEY_PROT", "1")
    assert next(examine(settings)) == Finding(
        Verdict.WARNING, "PARLEY_PROT is not a setting; did you mean PARLEY_PORT?"
    )


def test_the_hub_is_asked_only_when_somebody_asks_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with fake_hub() as hub:
        monkeypatch.setenv("PARLEY_HUB_ENDPOINT", hub.url)
        shown = CliRunner().invoke(parley, ["doctor", "--data", str(tmp_path / "d")]).stdout
        assert "answers (HTTP" not in shown
        shown = CliRunner().invoke(parley, ["doctor", "--hub", "--data", str(tmp_path / "d")]).stdout
        assert f"{hub.url} answers (HTTP 404)" in shown
    shown = CliRunner().invoke(parley, ["doctor", "--hub", "--data", str(tmp_path / "d")]).stdout
    assert "`parley pull` has no hub: 127.0.0.1 cannot be reached: is there a network?" in shown
