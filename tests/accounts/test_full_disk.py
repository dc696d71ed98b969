"""B3: a full disk refuses every change, of strangers, administrators and the command line; what is left is for settlements."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from parley.api.platform.commands import CreateKey, ListKeys, RevokeKey, perform
from parley.operations.last_used import LastUsed
from parley.operations.reconcile import Reconciler
from tests.builders_accounts import Town, town
from tests.small_disk import NotHere, fill, small_disk

STRANGER = {"email": "ann@example.org", "password": "correct horse battery"}


@pytest.fixture(name="full")
async def _full(tmp_path: Path) -> AsyncIterator[Town]:
    """A town whose disk somebody has filled."""
    try:
        with small_disk(tmp_path / "disk", megabytes=16) as disk:
            async with town(disk) as opened:
                opened.records.storage.look()
                assert reserve_of(opened).exists()
                fill(disk / "ballast")
                opened.records.storage.look()
                yield opened
    except NotHere as lack:
        pytest.skip(str(lack))


def reserve_of(full: Town) -> Path:
    return full.records.folder.path / "reserve"


async def test_b3_changes_are_refused_and_reads_are_not(full: Town) -> None:
    keys = f"/v1/organization/projects/{await full.project_id()}/api_keys"
    replies = [
        await full.call("POST", "/v1/account/sign_up", STRANGER, key=None),
        await full.call("POST", "/v1/organization/invites", {"email": "bob@example.org", "role": "owner"}),
        await full.call("POST", "/v1/organization/projects", {"name": "p"}),
        await full.call("POST", keys, {"name": "k"}),
        await full.call("DELETE", f"{keys}/key_nobody"),
    ]
    assert [reply.status_code for reply in replies] == [503] * 5
    assert all(int(reply.headers["retry-after"]) > 1 for reply in replies)
    for path in (keys, "/v1/organization/projects", "/v1/models"):
        assert (await full.call("GET", path)).status_code == 200
    # Who may not at all hears that first.
    assert (await full.call("POST", keys, {"name": "k"}, key="sk-nobody")).status_code == 401
    assert reserve_of(full).exists()


async def test_b3_the_command_line_reads_and_revokes_and_changes_nothing_else(full: Town) -> None:
    async def said(command) -> str | None:
        return (await perform(full.records, command, lambda _: False)).error

    assert "out of storage" in await said(CreateKey(name="k"))
    listed = await perform(full.records, ListKeys(), lambda _: False)
    assert await said(RevokeKey(key_id=listed.keys[0].id)) is None
    assert full.records.keys.authenticate(full.owner_key) is None


async def test_b3_when_keys_were_used_is_remembered_until_there_is_room(full: Town) -> None:
    await full.project_id()
    await LastUsed(full.records).keep()
    assert reserve_of(full).exists()
    assert set(full.records.keys.take_used().values()) == {full.clock.now()}


async def test_b3_the_reconciler_forgets_nothing_while_there_is_no_room(
    full: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    records, asked = full.records, []

    async def forget_old() -> int:
        asked.append("forget")
        return 0

    monkeypatch.setattr(records.replies, "forget_old", forget_old)
    reconciler = Reconciler(
        records.database, records.billing, records.replies, records.audit, full.clock, check_room=records.check_room
    )
    await reconciler.expire()
    assert asked == []
    (records.folder.path.parent / "ballast").unlink()
    records.storage.look()
    await reconciler.expire()
    assert asked == ["forget"]
