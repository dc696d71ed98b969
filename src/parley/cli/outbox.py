"""`parley outbox`: the mails that no SMTP server took."""

import email
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

import click

from parley.cli.failures import CommandFailed, in_one_line
from parley.cli.options import folder_option
from parley.infra.folder import DataFolder
from parley.infra.settings import load_settings

_CONTROL = dict.fromkeys((*range(9), 11, 12, *range(14, 32), *range(127, 160)))


@click.command()
@click.option("--last", "num", type=click.IntRange(1, 1000), default=10, show_default=True, help="How many to show.")
@click.option("--clear", is_flag=True, help="Delete them instead.")
@folder_option
def command(num: int, clear: bool, data: Path | None) -> None:
    """Show the newest mails of the outbox, the oldest of them first. They hold codes and links that let people in."""
    with in_one_line():
        folder = DataFolder(load_settings({"data": data}).data).outbox_path
        try:
            paths = sorted(path for path in _content(folder) if path.suffix == ".eml")
            for path in paths if clear else []:
                path.unlink(missing_ok=True)
            messages = [] if clear else [_read(path) for path in paths[-num:]]
        except OSError as error:
            raise CommandFailed(f"{folder} cannot be read: {error.strerror}") from None
    for message in messages:
        click.echo(f"To: {message['To']}\nDate: {message['Date']}\nSubject: {message['Subject']}\n")
        click.echo(_text(message))
    if not messages:
        click.echo("The outbox is empty." if not clear else f"{len(paths)} mails deleted.", err=True)


def _content(folder: Path) -> list[Path]:
    """Path.glob would say that a folder which cannot be read is empty."""
    try:
        return list(folder.iterdir())
    except FileNotFoundError:
        return []


def _read(path: Path) -> EmailMessage:
    return email.message_from_bytes(path.read_bytes(), policy=default)


def _text(message: EmailMessage) -> str:
    """The text, without what would move a terminal's cursor: names in it were chosen by others."""
    body = message.get_body(("plain",))
    return "" if body is None else str(body.get_content()).translate(_CONTROL)
