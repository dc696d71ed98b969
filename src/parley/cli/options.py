"""Options that several commands take."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

from parley.operations.exports import Form

F = TypeVar("F", bound=Callable[..., None])
_FORM = "form"


def folder_option(command: F) -> F:
    """`--data`: the data folder."""
    return click.option(
        "--data", type=click.Path(path_type=Path), help="Data folder. [PARLEY_DATA, or ~/.local/share/parley]"
    )(command)


def server_options(command: F) -> F:
    """`--url`, `--key` and `--data`: which server, and who asks."""
    command = folder_option(command)
    command = click.option("--key", help="API key. [PARLEY_API_KEY, or owner.key in the data folder]")(command)
    return click.option("--url", help="Server. [PARLEY_URL, or the one that runs on the data folder]")(command)


def organization_option(command: F) -> F:
    """`--org`: the organization."""
    return click.option("--org", help="Id of the organization. [the first]")(command)


def form_options(command: F) -> F:
    """`--csv` and `--json`, one of them: a file rather than a table."""
    command = _form_option("--json", Form.JSON_LINES, "Write one JSON object a line.")(command)
    return _form_option("--csv", Form.CSV, "Write CSV.")(command)


def _form_option(flag: str, form: Form, told: str) -> Callable[[F], F]:
    def take(context: click.Context, _: click.Parameter, is_given: bool) -> None:
        wanted: Form | None = context.params.setdefault(_FORM, None)
        if is_given and wanted is not None:
            raise click.UsageError("--csv and --json exclude each other")
        if is_given:
            context.params[_FORM] = form

    return click.option(flag, is_flag=True, expose_value=False, callback=take, help=told)
