"""`parley chat`: a conversation in the terminal, turn by turn, each answer written as it is generated."""

import asyncio
import sys
from contextlib import suppress
from pathlib import Path

import click

from parley.cli.client import Server, find_server, streamed
from parley.cli.failures import CommandFailed, in_one_line
from parley.cli.options import server_options

_HELP = "/exit or Ctrl-D ends, Ctrl-C stops an answer, /new forgets the conversation."


@click.command()
@click.option("--model", default="gpt-3.5-turbo", show_default=True, help="Name of a model that chats.")
@click.option("--system", help="What the model is told before the conversation.")
@server_options
def command(model: str, system: str | None, url: str | None, key: str | None, data: Path | None) -> None:
    """Talk to a model. /exit or Ctrl-D ends, Ctrl-C stops an answer, /new forgets the conversation."""
    with in_one_line():
        server = find_server(url=url, key=key, data=data)
    converse(server, model, system)


def converse(server: Server, model: str, system: str | None) -> None:
    """Talk until the input ends or /exit. Raises CommandFailed when a turn fails and nobody is at the terminal."""
    conversation = _Conversation(server, model, system)
    if sys.stdin.isatty():
        # Line editing and history for input(), where this Python was built with them.
        with suppress(ImportError):
            import readline  # noqa: F401, PLC0415 - importing it is its use
        click.echo(_HELP)
    while (line := _read_line()) is not None:
        if line == "/exit":
            return
        if line == "/new":
            conversation.forget()
        elif line.startswith("/"):
            click.echo(f"no such command: {line.split()[0]}; there are /exit and /new", err=True)
        elif line:
            conversation.take_turn(line)


def _read_line() -> str | None:
    """The next thing to say; None at the end of the input."""
    is_terminal = sys.stdin.isatty()
    try:
        return input("\n> " if is_terminal else "").strip()
    except EOFError:
        if is_terminal:
            click.echo()
        return None


class _Conversation:
    """What has been said so far, and with whom."""

    def __init__(self, server: Server, model: str, system: str | None) -> None:
        self._server = server
        self._model = model
        self._opening = [{"role": "system", "content": system}] if system else []
        self._messages = list(self._opening)
        self._has_named_weights = False

    def forget(self) -> None:
        """Begin anew."""
        self._messages = list(self._opening)
        click.echo("(a new conversation)", err=True)

    def take_turn(self, text: str) -> None:
        """Say `text` and write the answer. A turn that is refused or fails is not part of the conversation.

        Without a terminal a failure ends the command: nobody is there to say it otherwise.
        """
        question = {"role": "user", "content": text}
        answer: list[str] = []
        try:
            asyncio.run(self._answer([*self._messages, question], answer))
        except KeyboardInterrupt:
            click.echo(" (stopped)", err=True)
        except CommandFailed as failure:
            if not sys.stdin.isatty():
                raise
            failure.show()
            return
        if answer:
            self._messages += [question, {"role": "assistant", "content": "".join(answer)}]

    async def _answer(self, messages: list[dict[str, str]], answer: list[str]) -> None:
        body = {"model": self._model, "messages": messages}
        async with streamed(self._server, "/v1/chat/completions", body) as reply:
            if not self._has_named_weights and reply.weights:
                click.echo(f"({self._model} is answered by {reply.weights})", err=True)
                self._has_named_weights = True
            async for chunk in reply.chunks:
                for choice in chunk["choices"]:
                    piece = choice["delta"].get("content") or ""
                    answer.append(piece)
                    click.echo(piece, nl=False)
        click.echo()
