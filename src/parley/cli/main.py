"""The `parley` command. Says in one line when this Python cannot run it, before anything that needs more is imported."""

import os
import sys
from importlib import import_module
from io import TextIOWrapper


def main() -> None:
    """Run the command line and end the process with its exit code."""
    try:
        code = _run()
    except KeyboardInterrupt:
        code = 130
    sys.exit(code)


def _run() -> int:
    if sys.version_info < (3, 11):  # noqa: UP036 - what an older Python gets is this line and no syntax error
        sys.exit("parley: Python 3.11 or newer is needed, this is {}.{}".format(*sys.version_info))
    if any(_is_broken(argument) for argument in sys.argv[1:]):
        sys.exit("parley: an argument is neither valid UTF-8 nor the name of a file")
    # What others chose, such as an organization's name, may hold what this terminal cannot write.
    _set_errors("backslashreplace", sys.stdout, sys.stderr)
    # Whoever sends what was read refuses what is no text, in its own words.
    _set_errors("surrogateescape", sys.stdin)
    try:
        commands = import_module("parley.cli.commands")
    except ModuleNotFoundError as error:
        sys.exit(
            f"parley: the module {error.name!r} is missing from this Python; in a checkout run `make serve`, "
            "elsewhere `python3 -m pip install parley`"
        )
    code: int = commands.run()
    return code


def _set_errors(errors: str, *streams: object) -> None:
    """What a stream does with what is no text in its encoding; a stream that was closed before the start is None."""
    for stream in streams:
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors=errors)


def _is_broken(argument: str) -> bool:
    """Whether it is neither text nor a file's name, which may hold any bytes: Python keeps such bytes as lone surrogates."""
    is_text = not any("\ud800" <= character <= "\udfff" for character in argument)
    return not is_text and not os.path.exists(argument)  # noqa: PTH110 - Path.exists raises where a name is too long


if __name__ == "__main__":
    main()
