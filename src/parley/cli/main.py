"""The `parley` command. Says in one line when this Python cannot run it, before anything that needs more is imported."""

import sys
from importlib import import_module


def main() -> None:
    """Run the command line and end the process with its exit code."""
    if sys.version_info < (3, 11):  # noqa: UP036 - what an older Python gets is this line and no syntax error
        sys.exit("parley: Python 3.11 or newer is needed, this is {}.{}".format(*sys.version_info))
    try:
        commands = import_module("parley.cli.commands")
    except ModuleNotFoundError as error:
        sys.exit(
            f"parley: the module {error.name!r} is missing from this Python; in a checkout run `make serve`, "
            "elsewhere `python3 -m pip install parley`"
        )
    commands.parley()


if __name__ == "__main__":
    main()
