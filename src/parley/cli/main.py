"""The `parley` command. Says in one line when this Python cannot run it, before anything that needs more is imported."""

import os
import sys
from importlib import import_module


def main() -> None:
    """Run the command line and end the process with its exit code."""
    if sys.version_info < (3, 11):  # noqa: UP036 - what an older Python gets is this line and no syntax error
        sys.exit("parley: Python 3.11 or newer is needed, this is {}.{}".format(*sys.version_info))
    if any(_is_broken(argument) for argument in sys.argv[1:]):
        sys.exit("parley: an argument is neither valid UTF-8 nor the name of a file")
    try:
        commands = import_module("parley.cli.commands")
    except ModuleNotFoundError as error:
        sys.exit(
            f"parley: the module {error.name!r} is missing from this Python; in a checkout run `make serve`, "
            "elsewhere `python3 -m pip install parley`"
        )
    commands.parley()


def _is_broken(argument: str) -> bool:
    """Whether it is neither text nor a file's name, which may hold any bytes: Python keeps such bytes as lone surrogates."""
    is_text = not any("\ud800" <= character <= "\udfff" for character in argument)
    return not is_text and not os.path.exists(argument)  # noqa: PTH110 - Path.exists raises where a name is too long


if __name__ == "__main__":
    main()
