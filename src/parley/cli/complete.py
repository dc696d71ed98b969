"""`parley complete`: continue a text, written as it is generated."""

import asyncio
import sys
from pathlib import Path

import click

from parley.cli.client import Server, find_server, streamed
from parley.cli.failures import INTERRUPTED, in_one_line
from parley.cli.options import server_options


@click.command()
@click.argument("prompt")
@click.option("--model", default="text-davinci-003", show_default=True, help="Name of a model that completes text.")
@click.option("--max-tokens", type=click.IntRange(1), default=256, show_default=True, help="Tokens at most.")
@click.option("--temperature", type=click.FloatRange(0, 2), default=1.0, show_default=True, help="0 takes no chances.")
@server_options
def command(  # noqa: PLR0913, PLR0917 - click hands over each option by itself
    prompt: str, model: str, max_tokens: int, temperature: float, url: str | None, key: str | None, data: Path | None
) -> None:
    """Continue PROMPT; `-` reads it from standard input."""
    text = sys.stdin.read() if prompt == "-" else prompt
    body = {"model": model, "prompt": text, "max_tokens": max_tokens, "temperature": temperature}
    with in_one_line():
        server = find_server(url=url, key=key, data=data)
        try:
            asyncio.run(_write(server, body))
        except KeyboardInterrupt:
            click.echo()
            raise SystemExit(INTERRUPTED) from None


async def _write(server: Server, body: dict[str, object]) -> None:
    async with streamed(server, "/v1/completions", body) as reply:
        async for chunk in reply.chunks:
            for choice in chunk["choices"]:
                click.echo(choice["text"], nl=False)
    click.echo()
