"""The tree of commands. Each command's module is imported when that command is asked for, so that `--help` is instant."""

from importlib import import_module

import click

from parley.cli.ending import exit_code_of

# Command -> the line that `parley --help` shows.
_COMMANDS = {
    "serve": "Run the server until Ctrl-C.",
    "run": "Have a model here and talk to it.",
    "pull": "Bring a model in from a model hub or a URL.",
    "chat": "Talk to a model, turn by turn.",
    "complete": "Continue a text.",
    "transcribe": "Write down what is said in files.",
    "models": "List, show, add, remove, load and unload models.",
    "keys": "List, create, rotate, revoke and find API keys.",
    "orgs": "List, create, approve and suspend organizations.",
    "projects": "List, create and archive projects.",
    "users": "List, invite, change and remove members.",
    "usage": "Show requests, tokens and costs.",
    "credits": "Show and change what organizations may spend.",
    "ledger": "Check and export the ledger.",
    "audit": "Show who changed what.",
    "outbox": "Show the mails that no SMTP server took.",
    "doctor": "Check this machine and say what to do.",
}


class _Commands(click.Group):
    """A group whose commands are the attributes `command` of the modules of the same names."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's interface
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's interface
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = import_module(f"parley.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - as above
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 3 no server answers, 130 interrupted.",
)
@click.version_option(package_name="parley")
def parley() -> None:
    """OpenAI's API on your own machine.

    Start with `parley serve`, then `parley chat` in another terminal.
    """


def run() -> int:
    """Run what was typed; its exit code. Raises KeyboardInterrupt."""
    return exit_code_of(parley)
