"""Options that several commands take."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

from parley.operations.exports import Form

F = TypeVar("F", bound=Callable[..., None])


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
    """`--csv` and `--json`: a file rather than a table."""
    as_it_is = click.UNPROCESSED
    command = click.option(
        "--json", "form", flag_value=Form.JSON_LINES, type=as_it_is, help="Write one JSON object a line."
    )(command)
    return click.option("--csv", "form", flag_value=Form.CSV, type=as_it_is, help="Write CSV.")(command)
