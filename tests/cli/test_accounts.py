"""`parley orgs`, `projects` and `users` on a folder where no server runs: what they say and what they change."""

import asyncio
import subprocess
import sys
from pathlib import Path

from click.testing import CliRunner, Result

from parley.api.platform.control import ControlServer
from parley.cli import orgs, projects, users
from parley.cli.keys import command as keys
from parley.core.clock import FakeClock
from parley.operations.records import open_records
from tests.builders_records import settings_in


def run(command, *words: str, folder: Path) -> Result:
    return CliRunner().invoke(command, [*words, "--data", str(folder)])


def test_an_organization_is_made_listed_suspended_and_approved(folder: Path) -> None:
    organization = run(orgs.command, "create", "Acme", folder=folder).stdout.strip()
    assert organization.startswith("org-")
    assert "Acme" in run(orgs.command, "list", folder=folder).stdout
    assert run(orgs.command, "suspend", organization, folder=folder).stdout == f"{organization} (Acme) is suspended.\n"
    assert "suspended" in run(orgs.command, "list", folder=folder).stdout
    assert run(orgs.command, "approve", organization, folder=folder).stdout == f"{organization} (Acme) is active.\n"
    assert run(orgs.command, "tier", organization, "paid", folder=folder).stdout == f"{organization} is in tier paid.\n"
    wrong = run(orgs.command, "tier", organization, "platinum", folder=folder)
    assert (wrong.exit_code, "free, paid_new, paid" in wrong.stderr) == (1, True)


def test_a_project_of_an_organization_has_keys_until_it_is_archived(folder: Path) -> None:
    organization = run(orgs.command, "create", "Acme", folder=folder).stdout.strip()
    project = run(projects.command, "create", "app", "--org", organization, folder=folder).stdout.strip()
    made = run(keys, "create", "k", "--org", organization, "--project", project, "--days", "30", folder=folder)
    assert made.stdout.startswith("sk-")
    rotated = run(keys, "rotate", made.stderr.split()[0], "--overlap", "2", folder=folder)
    assert rotated.stdout.startswith("sk-")
    assert rotated.stdout != made.stdout
    elsewhere = run(keys, "create", "k", "--project", project, folder=folder)
    assert (elsewhere.exit_code, elsewhere.stderr) == (1, "parley: No such project.\n")
    archived = run(projects.command, "archive", project, "--org", organization, folder=folder)
    assert archived.stdout == f"{project} (app) is archived.\n"
    assert run(keys, "create", "k", "--org", organization, "--project", project, folder=folder).exit_code == 1
    assert "app" in run(projects.command, "list", "--org", organization, folder=folder).stdout


def test_an_organization_without_members_says_how_the_first_comes_in(folder: Path) -> None:
    shown = run(users.command, "list", folder=folder)
    assert (shown.exit_code, "parley users invite EMAIL --role owner" in shown.stdout) == (0, True)


def test_an_invite_is_mailed_and_its_link_printed(folder: Path) -> None:
    invited = run(users.command, "invite", "ada@example.org", "--role", "admin", folder=folder)
    assert "/invite#" in invited.stdout
    mails = [path.read_text() for path in (folder / "outbox").glob("*.eml")]
    assert len(mails) == 1
    # A long line is folded on its way: the link's end is there all the same.
    assert invited.stdout.strip()[-10:] in mails[0].replace("=\n", "")
    assert run(users.command, "list", folder=folder).exit_code == 0
    missing = run(users.command, "role", "user-nobody", "viewer", folder=folder)
    assert (missing.exit_code, missing.stderr) == (1, "parley: No such user.\n")
    assert run(users.command, "remove", "user-nobody", folder=folder).exit_code == 1


async def test_an_invite_s_link_leads_to_the_server_that_runs_wherever_that_is(folder: Path) -> None:
    async with open_records(settings_in(folder), FakeClock()) as records:
        for public_url in (None, "https://parley.example.org"):
            async with ControlServer(
                records, url="http://127.0.0.1:8123", public_url=public_url, in_use=lambda _: False
            ):
                invited = await asyncio.to_thread(run, users.command, "invite", "ada@example.org", folder=folder)
            assert invited.stdout.startswith(f"{public_url or 'http://127.0.0.1:8123'}/invite#")


def test_an_argument_that_is_no_text_is_refused_in_one_line(folder: Path) -> None:
    for words in (
        [b"orgs", b"create", b"\xff"],
        [b"orgs", b"suspend", b"\xff" * 1_000],
        [b"projects", b"create", b"\xff"],
        [b"users", b"invite", b"\xff@example.org", b"--role", b"owner"],
        [b"audit", b"--org", b"\xff"],
    ):
        arguments = [sys.executable, "-m", "parley.cli.main", *words, "--data", str(folder)]
        refused = subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=False)
        assert (refused.returncode, refused.stdout) == (1, "")
        assert refused.stderr == "parley: an argument is neither valid UTF-8 nor the name of a file\n"


def test_a_file_whose_name_is_no_text_is_taken(folder: Path) -> None:
    (folder / "\udcff").touch()
    arguments = [sys.executable, "-m", "parley.cli.main", "keys", "scan", folder / "\udcff", "--data", folder]
    scanned = subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=False)
    assert (scanned.returncode, scanned.stderr) == (0, "0 keys found, none of them counts.\n")


def test_no_key_is_made_whose_scope_would_count_for_nothing(folder: Path) -> None:
    organization = run(orgs.command, "create", "Other", folder=folder).stdout.strip()
    for scope in ("metrics", "operator"):
        made = run(keys, "create", "m", "--scope", scope, "--org", organization, folder=folder)
        assert (made.exit_code, made.stdout) == (1, "")
        assert f"only a key of the first organization can have '{scope}'" in made.stderr
        assert run(keys, "create", "m", "--scope", scope, folder=folder).exit_code == 0
