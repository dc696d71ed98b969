"""How the command line ends: with an exit code, and with at most one line on what went wrong."""

import os
import sys
from errno import EPIPE

import click


def exit_code_of(command: click.Command) -> int:
    """Run the command line to its end; what went wrong was said. Raises KeyboardInterrupt."""
    try:
        try:
            code = command(standalone_mode=False)
        finally:
            _flush_output()
    except click.Abort:
        raise KeyboardInterrupt from None
    except click.ClickException as failure:
        failure.show()
        return failure.exit_code
    except OSError as error:
        # Imported here: `--help` waits for no package but click.
        from parley.cli.failures import REFUSED, failure_of  # noqa: PLC0415

        # Whoever read what is written has seen enough.
        if error.errno != EPIPE:
            failure_of(error).show()
        return REFUSED
    return code if isinstance(code, int) else 0


def _flush_output() -> None:
    if sys.stdout is None:
        return
    try:
        sys.stdout.flush()
    except OSError:
        # Python tries again at its end, and complains.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise
