"""The commands on a data folder, as an operator types them: in processes of their own where that matters."""

import asyncio
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from errno import ENOSPC
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from parley.api.platform.control import ControlServer
from parley.cli.commands import parley
from parley.core.clock import SystemClock
from parley.operations.first_start import ensure_owner
from parley.operations.records import open_records
from tests.builders_records import settings_in
from tests.gguf_maker import Shape, write_model
from tests.live import free_port
from tests.small_disk import NotHere, fill, small_disk


@pytest.fixture
def installation(tmp_path: Path) -> Path:
    """A data folder on which a server has started once."""
    start_once(tmp_path / "d")
    return tmp_path / "d"


def start_once(folder: Path) -> None:
    async def start() -> None:
        async with open_records(settings_in(folder), SystemClock()) as records:
            await ensure_owner(records, None)

    asyncio.run(start())


def run(*arguments: str, text: str | None = None) -> Result:
    return CliRunner().invoke(parley, arguments, input=text)


def command_line(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "parley.cli.main", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=os.environ | variables,
    )


def test_help_names_every_command_and_loads_no_package_but_click() -> None:
    """Each further one would be waited for, every time."""
    program = (
        "import sys; before = set(sys.modules); sys.argv = ['parley', '--help']\n"
        "from parley.cli.main import main\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code\n"
        "loaded = {name.partition('.')[0] for name in set(sys.modules) - before}\n"
        "print(sorted(loaded - sys.stdlib_module_names))"
    )
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    for name in ("serve", "run", "pull", "chat", "complete", "models", "keys", "doctor"):
        assert f"  {name} " in shown
    assert shown.splitlines()[-1] == "['click', 'parley']"


@pytest.mark.parametrize(
    "arguments", [["keys"], ["models"], ["serve"], ["chat"], ["complete"], ["doctor"], ["pull"], ["run"]]
)
def test_every_command_explains_itself(arguments: list[str]) -> None:
    shown = run(*arguments, "--help")
    assert shown.exit_code == 0
    assert "Usage: " in shown.output


def test_serve_has_a_flag_for_every_setting() -> None:
    shown = run("serve", "--help").output
    for flag in ("--host", "--port", "--data", "--drain-seconds", "--bootstrap-key", "--max-waiting", "--config"):
        assert flag in shown
    assert "PARLEY_PORT" in shown


def test_an_unknown_command_is_wrong_usage() -> None:
    done = run("sing")
    assert done.exit_code == 2
    assert "No such command" in done.output


def test_a_bad_setting_is_one_line(tmp_path: Path) -> None:
    done = command_line("keys", "list", PARLEY_PORT="eighty", PARLEY_DATA=str(tmp_path))
    assert done.returncode == 1
    assert done.stderr.startswith("parley: PARLEY_PORT: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["keys", "list"],
        ["keys", "create", "app"],
        ["keys", "revoke", "key_1"],
        ["models", "list"],
        ["models", "show", "gpt-4"],
        ["models", "add", "model.gguf"],
        ["models", "remove", "mine"],
        ["pull", "owner/repository"],
        ["models", "connect", "http://h/v1", "--name", "n", "--kind", "vllm", "--model", "m"],
    ],
)
@pytest.mark.parametrize("is_there", [False, True], ids=["missing", "empty"])
def test_a_folder_without_an_installation_is_refused_and_left_as_it_is(
    tmp_path: Path, arguments: list[str], is_there: bool
) -> None:
    folder = tmp_path / "typo"
    if is_there:
        folder.mkdir()
    done = run(*arguments, "--data", str(folder))
    assert done.exit_code == 1
    assert done.stdout == ""
    assert done.stderr == (
        f"parley: no installation in {folder}; start `parley serve` once, or name the folder with --data or PARLEY_DATA\n"
    )
    assert list(tmp_path.rglob("*")) == ([folder] if is_there else [])


def test_an_installation_that_lost_its_database_is_not_called_a_new_one(installation: Path) -> None:
    (installation / "parley.db").unlink()
    assert "restore it from a backup" in run("keys", "list", "--data", str(installation)).stderr


def test_b3_a_first_start_on_a_full_disk_is_one_line_and_the_next_one_finds_nothing_by_halves(tmp_path: Path) -> None:
    try:
        with small_disk(tmp_path / "disk", megabytes=8) as disk:
            for kilobytes_left in (0, 16, 100):
                folder = disk / f"with-{kilobytes_left}"
                (disk / "room").write_bytes(bytes(kilobytes_left << 10))
                fill(disk / "ballast")
                (disk / "room").unlink()
                done = command_line("serve", "--data", str(folder), "--port", str(free_port()))
                assert done.returncode == 1
                assert [line for line in done.stderr.splitlines() if "make room" in line] == [
                    done.stderr.splitlines()[-1]
                ]
                assert "Traceback" not in done.stderr
                (disk / "ballast").unlink()
                start_once(folder)
    except NotHere as lack:
        pytest.skip(str(lack))


@pytest.mark.parametrize("command", [["ledger", "verify"], ["ledger", "export"], ["usage"], ["audit"]], ids=" ".join)
@pytest.mark.parametrize(
    ("revision", "said"),
    [("0050", "of an older Parley; start `parley serve` once"), ("0990", "use a newer Parley")],
    ids=["older", "newer"],
)
def test_a_database_of_another_version_is_not_read(
    installation: Path, command: list[str], revision: str, said: str
) -> None:
    with closing(sqlite3.connect(installation / "parley.db")) as connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (revision,))
        connection.commit()
    done = run(*command, "--data", str(installation))
    assert done.exit_code == 1
    assert done.stderr.startswith("parley: the database is ")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_keys_are_made_listed_and_revoked_without_a_server(installation: Path) -> None:
    folder = str(installation)
    made = run("keys", "create", "my app", "--model", "gpt-4", "--data", folder)
    assert made.exit_code == 0
    # The key alone is on stdout, for scripts.
    assert made.stdout.startswith("sk-")
    assert made.stdout.count("\n") == 1
    key_id = made.stderr.split()[0]
    listed = run("keys", "list", "--data", folder).stdout
    assert made.stdout.strip() not in listed
    assert "my app" in " ".join(listed.split())
    revoked = run("keys", "revoke", key_id, "--data", folder)
    assert (revoked.exit_code, revoked.stderr) == (0, "")


def test_revoking_a_key_that_is_not_there_says_where_the_ids_are(installation: Path) -> None:
    done = run("keys", "revoke", "nope", "--data", str(installation))
    assert done.exit_code == 1
    assert done.stderr == "parley: no such key: nope; `parley keys list` shows the ids\n"


def test_revoking_the_key_of_the_command_line_says_how_to_make_another(installation: Path) -> None:
    folder = str(installation)
    owner = next(word for word in run("keys", "list", "--data", folder).stdout.split() if word.startswith("key_"))
    done = run("keys", "revoke", owner, "--data", folder)
    assert done.exit_code == 0
    assert done.stderr.startswith(f"That was the key in {installation / 'owner.key'}: ")
    assert "`parley keys create NAME --scope all --scope admin --scope owner --scope operator`" in done.stderr


@pytest.mark.parametrize("overlap", ["0", "24"])
def test_the_file_of_the_owners_key_has_the_key_that_takes_its_place(installation: Path, overlap: str) -> None:
    folder, file = str(installation), installation / "owner.key"
    owner = next(word for word in run("keys", "list", "--data", folder).stdout.split() if word.startswith("key_"))
    before = file.read_text()
    done = run("keys", "rotate", owner, "--overlap", overlap, "--data", folder)
    assert (done.exit_code, file.read_text()) == (0, done.stdout)
    assert file.read_text() != before
    assert file.stat().st_mode & 0o777 == 0o600
    assert f"That was the key in {file}, which has the new one now." in done.stderr
    assert run("keys", "scan", str(file), "--data", folder).exit_code == 1


def test_another_keys_successor_leaves_the_file_of_the_owners_key_as_it_is(installation: Path) -> None:
    folder, file = str(installation), installation / "owner.key"
    before = file.read_text()
    key_id = run("keys", "create", "app", "--data", folder).stderr.split()[0]
    done = run("keys", "rotate", key_id, "--data", folder)
    assert (done.exit_code, file.read_text()) == (0, before)
    assert "owner.key" not in done.stderr


def test_a_new_key_that_cannot_be_put_into_its_file_is_shown_all_the_same(
    installation: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def is_full(path: Path, text: str) -> None:
        raise OSError(ENOSPC, "No space left on device")

    monkeypatch.setattr("parley.cli.keys.write_private", is_full)
    folder = str(installation)
    owner = next(word for word in run("keys", "list", "--data", folder).stdout.split() if word.startswith("key_"))
    done = run("keys", "rotate", owner, "--data", folder)
    assert done.exit_code == 1
    assert done.stdout.startswith("sk-")
    assert "owner.key, which cannot be written: No space left on device" in done.stderr


def test_a_scan_that_revokes_the_key_of_the_command_line_says_so(installation: Path) -> None:
    done = run("keys", "scan", str(installation / "owner.key"), "--revoke", "--data", str(installation))
    assert done.exit_code == 0
    assert f"That was the key in {installation / 'owner.key'}: " in done.stderr


def test_a_key_for_a_model_that_nobody_knows_is_refused(installation: Path) -> None:
    done = run("keys", "create", "app", "--model", "gpt-5000", "--data", str(installation))
    assert done.exit_code == 1
    assert done.stderr == "parley: There is no model called 'gpt-5000'.\n"


async def test_a_running_server_does_what_the_command_line_asks(tmp_path: Path) -> None:
    folder = tmp_path / "d"
    model = write_model(tmp_path / "my-model.gguf", Shape(context_length=2048))
    async with open_records(settings_in(folder), SystemClock()) as records:
        await ensure_owner(records, None)
        async with ControlServer(records, url="http://127.0.0.1:8000", in_use=lambda _: False):
            made = await asyncio.to_thread(command_line, "keys", "create", "app", PARLEY_DATA=str(folder))
            assert made.returncode == 0, made.stderr
            secret, key_id = made.stdout.strip(), made.stderr.split()[0]
            assert records.keys.authenticate(secret).key_id == key_id
            await asyncio.to_thread(command_line, "keys", "revoke", key_id, PARLEY_DATA=str(folder))
            assert records.keys.authenticate(secret) is None
            added = await asyncio.to_thread(command_line, "models", "add", str(model), PARLEY_DATA=str(folder))
            assert added.returncode == 0, added.stderr
            assert records.catalog.resolve("gpt-4").weights.name.startswith("my-model-")


async def test_while_another_process_starts_the_reason_is_said(tmp_path: Path) -> None:
    folder = tmp_path / "d"
    async with open_records(settings_in(folder), SystemClock()):
        done = await asyncio.to_thread(command_line, "keys", "list", PARLEY_DATA=str(folder))
    assert done.returncode == 1
    assert "in use by another Parley process" in done.stderr
    assert done.stderr.count("\n") == 1


def test_models_are_listed_and_shown_without_a_server(installation: Path) -> None:
    folder = str(installation)
    listed = run("models", "list", "--data", folder)
    assert listed.exit_code == 0
    assert "gpt-3.5-turbo-0301" in listed.stdout
    shown = run("models", "show", "gpt-4", "--data", folder).stdout
    assert "gpt-4-0314" in shown
    assert "stand-in" in shown


def test_an_unknown_model_is_one_line(installation: Path) -> None:
    done = run("models", "show", "gpt-5000", "--data", str(installation))
    assert done.exit_code == 1
    assert done.stderr.startswith("parley: The model `gpt-5000` does not exist")


def test_a_model_is_added_and_answers_the_stand_ins(tmp_path: Path, installation: Path) -> None:
    folder = str(installation)
    model = write_model(tmp_path / "my-model.gguf", Shape(context_length=2048))
    done = run("models", "add", str(model), "--name", "mine", "--data", folder)
    assert done.exit_code == 0
    # The file holds no template of its own.
    assert "template plain, 2,048 tokens" in " ".join(done.stdout.split())
    assert "answered by     mine-" in run("models", "show", "gpt-4", "--data", folder).stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere.gguf"], "cannot be read"),
        (["model.gguf", "--template", "jinja"], "there is no template 'jinja'"),
        (["model.gguf", "--context", "100000"], "was made for 2048 tokens"),
        (["model.gguf", "--name", "../up"], "--name"),
        (["model.gguf", "--name", "gpt-4"], "that name stands in for OpenAI's; choose another with --name"),
    ],
)
def test_a_model_that_cannot_be_added_is_one_line(
    tmp_path: Path, installation: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write_model(tmp_path / "model.gguf", Shape(context_length=2048))
    done = run("models", "add", *arguments, "--data", str(installation))
    assert done.exit_code == 1
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert list((installation / "models").iterdir()) == []


def test_a_missing_module_is_said_with_the_command_that_mends_it() -> None:
    # -S leaves the installed packages out, as a Python without the environment would.
    source = Path(__file__).resolve().parents[2] / "src"
    done = subprocess.run(
        [sys.executable, "-S", "-m", "parley.cli.main", "--help"],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": str(source)},
    )
    assert done.returncode == 1
    assert done.stderr == (
        "parley: the module 'click' is missing from this Python; in a checkout run `make serve`, "
        "elsewhere `python3 -m pip install parley`\n"
    )


CONNECT = ("models", "connect", "http://127.0.0.1:9/v1", "--name", "far", "--kind", "vllm", "--model", "m")


def test_a_model_at_a_server_is_connected_and_shown(installation: Path) -> None:
    done = run(*CONNECT, "--context", "4096", "--key-env", "FAR_KEY", "--data", str(installation))
    assert done.exit_code == 0, done.stderr
    assert "`far` is answered by http://127.0.0.1:9/v1 now." in done.stdout
    shown = run("models", "show", "far", "--data", str(installation)).stdout
    assert "m at http://127.0.0.1:9/v1 (vllm)" in shown
    assert "template" not in shown
    assert "FAR_KEY" not in shown


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (CONNECT, "--context"),
        ((*CONNECT, "--context", "4096", "--template", "chatml"), "--vocabulary"),
        ((*CONNECT, "--context", "4096", "--command", "vllm 'serve"), "--command"),
        ((*CONNECT, "--context", "4096", "--vocabulary", "missing.gguf"), "missing.gguf"),
        (("models", "connect", "http://a:b@c/v1", *CONNECT[3:], "--context", "4096"), "key_file"),
        (("models", "add", "http://127.0.0.1:9/v1"), "models connect"),
    ],
)
def test_what_cannot_be_connected_is_one_line(installation: Path, arguments: tuple[str, ...], reason: str) -> None:
    before = (installation / "catalog.toml").read_text()
    done = run(*arguments, "--data", str(installation))
    assert done.exit_code == 1
    assert reason in done.stderr
    assert done.stderr.count("\n") == 1
    assert (installation / "catalog.toml").read_text() == before
