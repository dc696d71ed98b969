"""`parley keys`: list, create, rotate, revoke and find API keys."""

import sys
from collections.abc import Sequence
from pathlib import Path

import click

from parley.api.platform.commands import CreateKey, IdentifyKeys, KeyLine, ListKeys, RevokeKey, RotateKey
from parley.cli.failures import CommandFailed, in_one_line
from parley.cli.options import folder_option
from parley.cli.scanning import found_keys
from parley.cli.state import change_state
from parley.cli.tables import escaped, print_table
from parley.core.clock import SystemClock
from parley.core.durations import MAX_LIFETIME_DAYS, day, minute
from parley.core.principal import Scope
from parley.domain.accounts.key_shape import has_valid_checksum
from parley.infra.folder import DataFolder, write_private
from parley.infra.settings import Settings, load_settings


@click.group()
def command() -> None:
    """List, create, rotate, revoke and find API keys."""


@command.command("list")
@folder_option
def list_keys(data: Path | None) -> None:
    """Show every key; of the key itself only the last four characters are kept."""
    with in_one_line():
        reply = change_state(load_settings({"data": data}), ListKeys())
    print_table(
        ("ID", "NAME", "KEY", "SCOPES", "MODELS", "CREATED", "EXPIRES", "REVOKED"), [_row(key) for key in reply.keys]
    )


@command.command()
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice([scope.value for scope in Scope]),
    help="What the key may do; give it again for more. [model.request and read]",
)
@click.option("--model", "models", multiple=True, help="A model that the key may use; give it again for more. [all]")
@click.option("--org", help="Id of its organization. [the first]")
@click.option("--project", help="Id of its project. [the organization's oldest]")
@click.option("--days", type=click.IntRange(1, MAX_LIFETIME_DAYS), help="How long it counts. [until it is revoked]")
@folder_option
def create(  # noqa: PLR0913, PLR0917 - each parameter is an option of the command
    name: str,
    scopes: tuple[str, ...],
    models: tuple[str, ...],
    org: str | None,
    project: str | None,
    days: int | None,
    data: Path | None,
) -> None:
    """Make a key called NAME and print it. It is shown this once and kept nowhere."""
    end = None if days is None else SystemClock().now() + days * 86_400
    wanted = CreateKey(name=name, models=models or None, organization_id=org, project_id=project, expires_at=end)
    if scopes:
        wanted.scopes = tuple(Scope(scope) for scope in scopes)
    with in_one_line():
        reply = change_state(load_settings({"data": data}), wanted)
    # The key alone goes to stdout, so that a script can take it.
    click.echo(f"{reply.keys[0].id} may be used now. This is the only time that its key is shown:", err=True)
    click.echo(reply.secret)


@command.command()
@click.argument("key_id")
@click.option(
    "--overlap", type=click.IntRange(0, 720), default=0, show_default=True, help="Hours that the old key still counts."
)
@folder_option
def rotate(key_id: str, overlap: int, data: Path | None) -> None:
    """Make a key that may what KEY_ID may, print it, and let KEY_ID end."""
    with in_one_line():
        settings = load_settings({"data": data})
        reply = change_state(settings, RotateKey(key_id=key_id, overlap_seconds=overlap * 3_600.0))
    new, old = reply.keys
    when = "now" if old.expires_at is None or old.revoked_at is not None else minute(old.expires_at)
    until = "" if new.expires_at is None else f" until {minute(new.expires_at)}"
    click.echo(f"{new.id} may be used now{until}; {key_id} ends {when}. The new key is shown this once:", err=True)
    click.echo(reply.secret)
    if _id_of_owner_key(settings) == key_id:
        path = DataFolder(settings.data).owner_key_path
        try:
            write_private(path, f"{reply.secret}\n")
        except OSError as error:
            raise CommandFailed(f"put the new key into {path}, which cannot be written: {error.strerror}") from None
        click.echo(f"That was the key in {path}, which has the new one now.", err=True)


@command.command()
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@click.option("--revoke", "is_revoking", is_flag=True, help="Revoke what is found and still counts, without asking.")
@folder_option
def scan(path: Path, is_revoking: bool, data: Path | None) -> None:
    """Find keys of Parley in the files under PATH, by their checksum, and offer to revoke those that still count.

    Exit code 1: there are keys that still count, or something could not be read.
    """
    unread: list[Path] = []
    found = list(found_keys(path, unread))
    with in_one_line():
        settings = load_settings({"data": data})
        secrets = tuple(dict.fromkeys(key.secret for key in found))
        # In portions: the control socket takes lines of 64 KiB.
        known: dict[str, KeyLine | None] = {}
        for start in range(0, len(secrets), 500):
            portion = secrets[start : start + 500]
            known |= dict(zip(portion, change_state(settings, IdentifyKeys(secrets=portion)).found, strict=True))
    for key in found:
        click.echo(f"{escaped(str(key.path))}:{key.line}: ...{key.secret[-4:]} {_described(known[key.secret])}")
    for each in unread:
        click.echo(f"{escaped(str(each))} could not be read.", err=True)
    live = [line.id for line in known.values() if line is not None and _does_count(line)]
    if not live:
        click.echo(f"{len(found)} keys found, none of them counts.", err=True)
        _refuse_unread(unread)
        return
    question = f"{len(live)} of {len(found)} still {'counts' if len(live) == 1 else 'count'}. Revoke?"
    if not is_revoking and not (sys.stdin.isatty() and click.confirm(question, err=True)):
        count = "1 key that still counts was found; --revoke revokes it"
        raise CommandFailed(
            count if len(live) == 1 else f"{len(live)} keys that still count were found; --revoke revokes them"
        )
    with in_one_line():
        for key_id in live:
            change_state(settings, RevokeKey(key_id=key_id))
            click.echo(f"{key_id} no longer counts.")
    _say_where_owner_key_is_gone(settings, live)
    _refuse_unread(unread)


def _refuse_unread(unread: list[Path]) -> None:
    """Raises CommandFailed where something could not be looked at: nobody shall take that for a tree without keys."""
    if unread:
        what = "1 file or folder" if len(unread) == 1 else f"{len(unread)} files or folders"
        raise CommandFailed(f"{what} could not be read: whether there are keys in them is not known")


@command.command()
@click.argument("key_id")
@folder_option
def revoke(key_id: str, data: Path | None) -> None:
    """Let the key KEY_ID (of `parley keys list`) no longer count, at once."""
    with in_one_line():
        settings = load_settings({"data": data})
        if key_id not in {key.id for key in change_state(settings, ListKeys()).keys}:
            raise CommandFailed(f"no such key: {key_id}; `parley keys list` shows the ids")
        revoked = change_state(settings, RevokeKey(key_id=key_id)).keys[0]
    click.echo(f"{revoked.id} ({revoked.name}) no longer counts.")
    _say_where_owner_key_is_gone(settings, [key_id])


def _say_where_owner_key_is_gone(settings: Settings, revoked: Sequence[str]) -> None:
    if _id_of_owner_key(settings) in revoked:
        click.echo(
            f"That was the key in {DataFolder(settings.data).owner_key_path}: the command line has no key now. "
            "Make one with `parley keys create NAME --scope all --scope admin --scope owner --scope operator` and put it into that file.",
            err=True,
        )


def _id_of_owner_key(settings: Settings) -> str | None:
    """The id of the key in the owner's file, whether or not it still counts; None: there is none of this installation."""
    try:
        secret = DataFolder(settings.data).owner_key_path.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return None
    if not has_valid_checksum(secret):
        return None
    with in_one_line():
        (found,) = change_state(settings, IdentifyKeys(secrets=(secret,))).found
    return None if found is None else found.id


def _described(key: KeyLine | None) -> str:
    if key is None:
        return "a key of another installation"
    state = "counts" if _does_count(key) else "expired" if key.revoked_at is None else "revoked"
    return f"{key.id} ({key.name}), {state}"


def _does_count(key: KeyLine) -> bool:
    """Neither revoked nor over, as one is whose time beside its successor has passed."""
    return key.revoked_at is None and (key.expires_at is None or key.expires_at > SystemClock().now())


def _row(key: KeyLine) -> tuple[str, ...]:
    return (
        key.id,
        key.name,
        f"...{key.last_four}",
        ", ".join(key.scopes),
        "all" if key.models is None else ", ".join(key.models),
        day(key.created_at),
        "" if key.expires_at is None else day(key.expires_at),
        "" if key.revoked_at is None else day(key.revoked_at),
    )
