"""`parley keys scan`: finds keys by their checksum wherever they lie in a file, raises no false alarm, and revokes."""

import asyncio
import os
import re
import sqlite3
from pathlib import Path

import pytest
from click.testing import CliRunner

from parley.cli import scanning
from parley.cli.keys import command
from parley.cli.scanning import found_keys
from parley.core.clock import FakeClock
from parley.domain.accounts.key_shape import new_secret
from parley.infra.folder import DataFolder
from parley.operations.first_start import ensure_owner
from parley.operations.records import open_records
from tests.builders_records import settings_in


def test_a_key_is_found_with_its_file_and_line(tmp_path: Path) -> None:
    secret = new_secret()
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "config.py").write_text(f"# nothing here\n\nKEY = '{secret}'\n")
    (tmp_path / "README").write_text("sk-" + "a" * 36 + "\nsk-XXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX\n")
    assert [(key.path.name, key.line, key.secret) for key in found_keys(tmp_path)] == [("config.py", 3, secret)]
    assert [key.line for key in found_keys(tmp_path / "app" / "config.py")] == [3]


@pytest.mark.parametrize("portion", [40, 64, 100, 1000])
def test_a_key_is_found_once_wherever_the_portions_of_a_file_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, portion: int
) -> None:
    monkeypatch.setattr(scanning, "_PORTION_BYTES", portion)
    secret = new_secret()
    for offset in range(130):
        (tmp_path / "f").write_bytes(b"\n" * offset + secret.encode() + b"\xff\n" * 70)
        assert [(key.line, key.secret) for key in found_keys(tmp_path)] == [(offset + 1, secret)]
        (tmp_path / "f").write_bytes(b" " * offset + secret.encode())
        assert [key.secret for key in found_keys(tmp_path)] == [secret]
        (tmp_path / "f").write_bytes(b"x" * offset + secret.encode() + b"x")
        assert [key.secret for key in found_keys(tmp_path)] == [secret]
        (tmp_path / "f").write_text("\n" * offset + secret + "\n" * 70, encoding="utf-16")
        assert [(key.line, key.secret) for key in found_keys(tmp_path)] == [(offset + 1, secret)]


@pytest.mark.parametrize("before", ['{"keys": "sk-old\\n', "Bearer%20", "api_key%3D", "key\\u003d", "\x1b[31m", "key_"])
def test_a_key_is_found_behind_what_escapes_and_colours_end_with(tmp_path: Path, before: str) -> None:
    secret = new_secret()
    (tmp_path / "f").write_text(f'first\nx {before}{secret}" y')
    assert [(key.line, key.secret) for key in found_keys(tmp_path)] == [(2, secret)]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_a_key_is_found_in_a_file_of_wide_characters(tmp_path: Path, encoding: str) -> None:
    secret = new_secret()
    (tmp_path / "f.reg").write_text(f'Windows\nKEY="{secret}"', encoding=encoding)
    assert [(key.line, key.secret) for key in found_keys(tmp_path)] == [(2, secret)]


def test_a_folder_that_may_be_listed_and_not_entered_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "closed").mkdir()
    (tmp_path / "closed" / "file").write_text(new_secret())
    secret = new_secret()
    (tmp_path / "open").write_text(secret)
    stat = os.stat

    def stat_of_others(path: object, **options: bool) -> os.stat_result:
        # As the kernel answers everybody but root.
        if "closed/" in str(path):
            raise PermissionError(13, "Permission denied", str(path))
        return stat(path, **options)  # type: ignore[call-overload,no-any-return] # handed on as it came

    monkeypatch.setattr(os, "stat", stat_of_others)
    unread: list[Path] = []
    assert [key.secret for key in found_keys(tmp_path, unread)] == [secret]
    assert unread == [tmp_path / "closed" / "file"]


def test_what_could_not_be_read_is_named_and_is_no_success(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, tree = tmp_path / "data", tmp_path / "tree"
    asyncio.run(owner_key_in(folder))
    (tree / "closed").mkdir(parents=True)
    (tree / "secret.env").write_text(new_secret())
    scan_folder, open_file = os.scandir, Path.open

    # As the kernel answers everybody but root.
    def scandir(path: str) -> object:
        if path.endswith("closed"):
            raise PermissionError(13, "Permission denied", path)
        return scan_folder(path)

    def opened(path: Path, *mode: str) -> object:
        if path.name == "secret.env":
            raise PermissionError(13, "Permission denied", str(path))
        return open_file(path, *mode)

    monkeypatch.setattr(os, "scandir", scandir)
    monkeypatch.setattr(Path, "open", opened)
    for where, num in ((tree, "2 files or folders"), (tree / "closed", "1 file"), (tree / "secret.env", "1 file")):
        scanned = CliRunner().invoke(command, ["scan", str(where), "--data", str(folder)])
        assert (scanned.exit_code, scanned.stdout) == (1, "")
        assert f"{where} could not be read." in scanned.stderr or where == tree
        assert f"parley: {num}" in scanned.stderr.splitlines()[-1]
    assert (
        f"{tree / 'closed'} could not be read."
        in CliRunner().invoke(command, ["scan", str(tree), "--data", str(folder)]).stderr
    )


def test_links_are_not_followed_and_what_cannot_be_read_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "outside").write_text(new_secret())
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "link").symlink_to(tmp_path / "outside")
    (tree / "dangling").symlink_to(tmp_path / "nothing")
    assert list(found_keys(tree)) == []


async def owner_key_in(folder: Path) -> str:
    async with open_records(settings_in(folder), FakeClock()) as records:
        return str(await ensure_owner(records, None))


def test_scan_names_what_counts_and_revokes_it_when_told(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    asyncio.run(owner_key_in(folder))
    run = CliRunner().invoke
    made = run(command, ["create", "leaked", "--data", str(folder)])
    secret = made.stdout.strip()
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "a.env").write_text(f"A={secret}\nB={new_secret()}\n")
    scan = ["scan", str(tmp_path / "tree"), "--data", str(folder)]
    found = run(command, scan)
    assert found.exit_code == 1
    assert "a.env:1" in found.stdout
    assert "(leaked), counts" in found.stdout
    assert "a.env:2" in found.stdout
    assert "another installation" in found.stdout
    assert secret not in found.output
    revoked = run(command, [*scan, "--revoke"])
    assert (revoked.exit_code, "no longer counts" in revoked.stdout) == (0, True)
    again = run(command, scan)
    assert (again.exit_code, "none of them counts" in again.stderr) == (0, True)
    assert DataFolder(folder).owner_key_path.exists()


def test_the_name_of_a_file_neither_moves_the_cursor_nor_begins_a_line(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    asyncio.run(owner_key_in(folder))
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "\x1b[2J\n\x9bgr\xfcn").write_text(new_secret())
    (tmp_path / "tree" / "\udcff").write_text(new_secret())
    shown = CliRunner().invoke(command, ["scan", str(tmp_path / "tree"), "--data", str(folder)]).stdout
    assert len(shown.splitlines()) == 2
    assert "\\x1b[2J\\n\\x9bgr\xfcn:1: ..." in shown
    assert "\\udcff:1: ..." in shown


def test_a_key_whose_time_beside_its_successor_has_passed_does_not_count(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    asyncio.run(owner_key_in(folder))
    run = CliRunner().invoke
    made = run(command, ["create", "rotated", "--data", str(folder)])
    key_id = made.stderr.split()[0]
    rotated = run(command, ["rotate", key_id, "--overlap", "1", "--data", str(folder)])
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "a.env").write_text(made.stdout)
    scan = ["scan", str(tmp_path / "tree"), "--data", str(folder)]
    assert rotated.exit_code == 0
    assert re.search(rf"{key_id} ends \d{{4}}-\d\d-\d\d \d\d:\d\d UTC\.", rotated.stderr)
    assert run(command, scan).stderr == "parley: 1 key that still counts was found; --revoke revokes it\n"
    with sqlite3.connect(folder / "parley.db") as connection:
        connection.execute("UPDATE keys SET expires_at = 1.0 WHERE id = ?", (key_id,))
    over = run(command, scan)
    assert (over.exit_code, f"{key_id} (rotated), expired" in over.stdout) == (0, True)
