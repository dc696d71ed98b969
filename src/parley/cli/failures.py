"""What the command line says when something cannot be done: one line, an exit code, never a traceback."""

from collections.abc import Iterator
from contextlib import contextmanager
from errno import EDQUOT, ENOSPC
from typing import IO, Any

import click

from parley.core.errors import NotFound, OperatorError

REFUSED = 1
NO_SERVER = 3
INTERRUPTED = 130
_NO_ROOM = frozenset({ENOSPC, EDQUOT})


class CommandFailed(click.ClickException):
    """One line for the terminal."""

    exit_code = REFUSED

    def show(self, file: IO[Any] | None = None) -> None:
        """Write the line to stderr."""
        click.echo(f"parley: {self.message}", file=file, err=file is None)


class NoServer(CommandFailed):
    """No server answers, or it stopped answering."""

    exit_code = NO_SERVER


@contextmanager
def in_one_line() -> Iterator[None]:
    """Turn every failure that an operator can mend into its one line."""
    try:
        yield
    except (OperatorError, NotFound) as error:
        raise CommandFailed(str(error)) from None
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        raise failure_of(error) from None


def failure_of(error: OSError) -> CommandFailed:
    """The line of what the system refused."""
    if error.errno in _NO_ROOM:
        place = "a file" if error.filename is None else error.filename
        return CommandFailed(f"{place} cannot be written ({error.strerror}): make room on its disk")
    return CommandFailed(": ".join(str(part) for part in (error.filename, error.strerror or error) if part))
