"""The first start and the later ones: what is made, what is refused, and that one process writes."""

import logging
import subprocess
import sys
from pathlib import Path

import pytest

from parley.core.clock import FakeClock
from parley.core.errors import InvalidRequest
from parley.core.principal import Scope
from parley.domain.accounts.model import OWNER_SCOPES, KeyRequest, OrganizationStatus
from parley.infra.db import DatabaseRefused, Transaction
from parley.infra.folder import DataFolderError
from parley.operations.command_line import operator
from parley.operations.first_start import ensure_owner
from parley.operations.founding import Founding
from parley.operations.manage_keys import create_key, revoke_key
from parley.operations.organizations import (
    OrganizationChange,
    change_organization,
    create_organization,
    warn_of_unknown_tiers,
)
from parley.operations.records import open_records
from parley.operations.rotate_keys import rotate_key
from tests.builders_records import BOOTSTRAP_KEY, settings_in


async def started(folder: Path, bootstrap_key: str | None = None) -> str | None:
    async with open_records(settings_in(folder), FakeClock()) as records:
        return await ensure_owner(records, bootstrap_key)


async def test_the_first_start_makes_an_owner_key_and_a_later_one_does_not(tmp_path: Path) -> None:
    folder = tmp_path / "d"
    owner = await started(folder)
    assert owner is not None
    file = folder / "owner.key"
    assert file.read_text() == owner + "\n"
    assert file.stat().st_mode & 0o777 == 0o600
    assert await started(folder) is None
    assert file.read_text() == owner + "\n"
    async with open_records(settings_in(folder), FakeClock()) as records:
        assert records.keys.authenticate(owner).may(Scope.ADMIN)


async def test_everything_secret_is_closed_to_others(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "d"
    await started(folder)
    modes = {path.name: path.stat().st_mode & 0o777 for path in (folder, *folder.iterdir())}
    assert modes["d"] == 0o700
    assert modes["pepper"] == modes["owner.key"] == modes["parley.db"] == 0o600


async def test_the_bootstrap_key_is_an_owner_key_from_the_first_start_on(tmp_path: Path) -> None:
    await started(tmp_path / "d", BOOTSTRAP_KEY)
    async with open_records(settings_in(tmp_path / "d"), FakeClock()) as records:
        assert records.keys.authenticate(BOOTSTRAP_KEY).may(Scope.ADMIN)


async def test_a_bootstrap_key_counts_also_when_the_folder_was_made_without_one(tmp_path: Path) -> None:
    await started(tmp_path / "d")
    await started(tmp_path / "d", BOOTSTRAP_KEY)
    async with open_records(settings_in(tmp_path / "d"), FakeClock()) as records:
        assert records.keys.authenticate(BOOTSTRAP_KEY).may(Scope.ADMIN)


async def test_another_bootstrap_key_at_a_later_start_is_ignored_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await started(tmp_path / "d", BOOTSTRAP_KEY)
    with caplog.at_level(logging.WARNING):
        await started(tmp_path / "d", BOOTSTRAP_KEY)
    assert caplog.messages == []
    async with open_records(settings_in(tmp_path / "d"), FakeClock()) as records:
        with caplog.at_level(logging.WARNING):
            await ensure_owner(records, "another-bootstrap-key-of-an-attacker")
        assert records.keys.authenticate("another-bootstrap-key-of-an-attacker") is None
    assert "PARLEY_BOOTSTRAP_KEY" in caplog.text
    assert "attacker" not in caplog.text


@pytest.mark.parametrize("end", ["revoked", "rotated", "expired"])
async def test_a_bootstrap_key_that_was_made_here_and_counts_no_more_is_ignored_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, end: str
) -> None:
    async with open_records(settings_in(tmp_path / "d"), FakeClock()) as records:
        await ensure_owner(records, None)
        actor = await operator(records)
        ending = KeyRequest(name="k", expires_at=records.clock.now() - 1 if end == "expired" else None)
        issued = await create_key(records, actor, ending)
        if end == "revoked":
            await revoke_key(records, actor, issued.key.id)
        elif end == "rotated":
            await rotate_key(records, actor, issued.key.id, project_id=None, overlap_seconds=0)
    with caplog.at_level(logging.WARNING):
        await started(tmp_path / "d", issued.secret)
    assert "PARLEY_BOOTSTRAP_KEY is ignored" in caplog.text
    async with open_records(settings_in(tmp_path / "d"), FakeClock()) as records:
        assert records.keys.authenticate(issued.secret) is None


async def test_an_organization_whose_tier_is_gone_is_said_at_the_start_and_can_be_suspended(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "d"
    await started(folder)
    (folder / "tiers.toml").write_text("[gold]\nrequests_per_minute = 2\n")
    async with open_records(settings_in(folder), FakeClock()) as records:
        actor = await operator(records)
        acme = await create_organization(records, actor, "Acme")
        await change_organization(records, actor, acme.id, OrganizationChange(tier="gold"))
        await warn_of_unknown_tiers(records)
    (folder / "tiers.toml").unlink()
    assert caplog.records == []
    async with open_records(settings_in(folder), FakeClock()) as records:
        await warn_of_unknown_tiers(records)
        [said] = [vars(record) for record in caplog.records]
        assert (said["organization_id"], said["tier"], said["counts_instead"]) == (acme.id, "gold", "free")
        change = OrganizationChange(status=OrganizationStatus.SUSPENDED)
        suspended = await change_organization(records, await operator(records), acme.id, change)
        assert (suspended.status, suspended.tier) == (OrganizationStatus.SUSPENDED, "gold")
        with pytest.raises(InvalidRequest, match="no such tier"):
            await change_organization(records, await operator(records), acme.id, OrganizationChange(tier="gold"))


@pytest.mark.parametrize("is_house", [True, False])
async def test_a_key_that_somebody_calls_bootstrap_takes_nothing_from_the_operators(
    tmp_path: Path, is_house: bool
) -> None:
    async with open_records(settings_in(tmp_path / "d"), FakeClock()) as records:
        await ensure_owner(records, None)
        actor = await operator(records)
        other = await create_organization(records, actor, "other")
        if is_house:
            await create_key(records, actor, KeyRequest(name="bootstrap", scopes=frozenset({Scope.ALL})))
        else:
            # As older versions made one.
            request = KeyRequest(name="bootstrap", scopes=OWNER_SCOPES)

            def issue(transaction: Transaction) -> None:
                accounts = records.accounts
                accounts.issue(transaction, accounts.default_project(transaction.connection, other.id), request)

            await records.database.transaction(issue)
        await ensure_owner(records, BOOTSTRAP_KEY)
        assert records.keys.authenticate(BOOTSTRAP_KEY).organization_id == actor.organization_id


async def test_a_revoked_bootstrap_key_does_not_come_back_with_the_environment(tmp_path: Path) -> None:
    async with open_records(settings_in(tmp_path / "d"), FakeClock()) as records:
        await ensure_owner(records, BOOTSTRAP_KEY)
        await revoke_key(records, await operator(records), records.keys.authenticate(BOOTSTRAP_KEY).key_id)
    async with open_records(settings_in(tmp_path / "d"), FakeClock()) as records:
        await ensure_owner(records, BOOTSTRAP_KEY)
        assert records.keys.authenticate(BOOTSTRAP_KEY) is None


@pytest.mark.parametrize("has_written_key", [False, True])
async def test_a_start_that_died_before_the_owner_counted_is_followed_by_a_first_start(
    tmp_path: Path, has_written_key: bool
) -> None:
    folder = tmp_path / "d"
    async with open_records(settings_in(folder), FakeClock()) as records:
        if has_written_key:
            Founding(records.folder).begin("sk-written-but-never-committed")
    assert (folder / "pepper").exists()
    owner = await started(folder)
    assert owner is not None
    assert (folder / "owner.key").read_text() == owner + "\n"
    assert await started(folder) is None


async def test_a_start_that_died_once_the_owner_counted_leaves_the_key_that_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "d"
    with monkeypatch.context() as patch:
        patch.setattr(Founding, "finish", lambda _: None)
        owner = await started(folder)
    assert not (folder / "owner.key").exists()
    assert await started(folder) is None
    assert (folder / "owner.key").read_text() == f"{owner}\n"


@pytest.mark.parametrize("kept", [("owner.key",), ("founded",), ("owner.key", "founded")])
async def test_a_database_that_lost_its_organization_is_refused(tmp_path: Path, kept: tuple[str, ...]) -> None:
    folder = tmp_path / "d"
    async with open_records(settings_in(folder), FakeClock()) as records:
        # What stands before the log is folded in: a copy that was made without the log.
        young = (folder / "parley.db").read_bytes()
        owner = await ensure_owner(records, None)
    (folder / "parley.db").write_bytes(young)
    for name in {"owner.key", "founded"} - set(kept):
        (folder / name).unlink()
    for _ in range(2):
        with pytest.raises(DatabaseRefused, match=r"is empty, though this folder was in use.*parley\.db-wal"):
            await started(folder, BOOTSTRAP_KEY)
    if "owner.key" in kept:
        assert (folder / "owner.key").read_text() == f"{owner}\n"


@pytest.mark.parametrize("lost", [(), ("owner.key",), ("owner.key", "founded")])
async def test_a_lost_database_is_not_replaced_by_an_empty_one(tmp_path: Path, lost: tuple[str, ...]) -> None:
    folder = tmp_path / "d"
    await started(folder)
    for name in ("parley.db", *lost):
        (folder / name).unlink()
    with pytest.raises(DatabaseRefused, match="missing"):
        await started(folder)
    assert not (folder / "parley.db").exists()


async def test_an_installation_of_before_the_mark_goes_on_and_gets_it(tmp_path: Path) -> None:
    folder = tmp_path / "d"
    await started(folder)
    for name in ("owner.key", "founded"):
        (folder / name).unlink()
    assert await started(folder) is None
    assert (folder / "founded").exists()
    assert not (folder / "owner.key").exists()


async def test_a_lost_pepper_is_not_replaced_by_another(tmp_path: Path) -> None:
    folder = tmp_path / "d"
    await started(folder)
    (folder / "pepper").unlink()
    with pytest.raises(DataFolderError, match="pepper is missing"):
        await started(folder)
    assert not (folder / "pepper").exists()


async def test_a_damaged_pepper_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "d"
    await started(folder)
    for content in ("", "abcd", "no hex at all"):
        (folder / "pepper").write_text(content)
        with pytest.raises(DataFolderError, match="pepper"):
            await started(folder)


async def test_b9_a_second_process_on_the_folder_ends_with_the_reason(tmp_path: Path) -> None:
    folder = tmp_path / "d"
    program = (
        "import asyncio, sys; from pathlib import Path\n"
        "from parley.core.clock import SystemClock; from parley.core.errors import OperatorError\n"
        "from parley.infra.settings import load_settings; from parley.operations.records import open_records\n"
        "async def main():\n    async with open_records(load_settings({'data': sys.argv[1]}), SystemClock()): pass\n"
        "try: asyncio.run(main())\nexcept OperatorError as error: sys.exit(str(error))\n"
    )

    def second() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", program, str(folder)], capture_output=True, text=True, timeout=30, check=False
        )

    async with open_records(settings_in(folder), FakeClock()):
        refused = second()
        assert refused.returncode == 1
        assert "in use by another Parley process" in refused.stderr
        assert refused.stderr.count("\n") == 1
    assert second().returncode == 0


async def test_one_database_file_is_not_shared_by_two_data_folders(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/shared.db"
    async with open_records(settings_in(tmp_path / "one", database_url=url), FakeClock()):
        with pytest.raises(DataFolderError, match=r"shared\.db is in use"):
            async with open_records(settings_in(tmp_path / "two", database_url=url), FakeClock()):
                pass


async def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataFolderError, match="PARLEY_DATA"):
        await started(tmp_path / "file" / "d")


async def test_the_operators_catalog_is_never_overwritten(tmp_path: Path) -> None:
    folder = tmp_path / "d"
    await started(folder)
    catalog = folder / "catalog.toml"
    catalog.write_text("# mine\n" + catalog.read_text())
    await started(folder)
    assert catalog.read_text().startswith("# mine\n")
