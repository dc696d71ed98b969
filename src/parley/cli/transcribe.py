"""`parley transcribe`: write down what is said in files or into the microphone, beside the files or on standard output."""

import asyncio
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

import click
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from parley.cli.client import Server, find_server, upload, upload_streamed
from parley.cli.failures import INTERRUPTED, REFUSED, CommandFailed, NoServer, in_one_line
from parley.cli.microphone import record
from parley.cli.options import server_options

_ENDINGS = {"text": ".txt", "srt": ".srt", "vtt": ".vtt", "json": ".json", "verbose_json": ".json"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """What is to be made of each file."""

    fields: Mapping[str, str]
    is_translation: bool
    is_beside: bool

    @property
    def path(self) -> str:
        return f"/v1/audio/{'translations' if self.is_translation else 'transcriptions'}"


@click.command()
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@click.option("--format", "written", type=click.Choice(list(_ENDINGS)), default="text", show_default=True)
@click.option("--model", default="whisper-1", show_default=True, help="Name of a model that hears.")
@click.option("--language", help="What is spoken, such as en. [told from the sound, where the model can]")
@click.option("--translate", is_flag=True, help="Write it in English.")
@click.option("--beside", is_flag=True, help="Write each text beside its file, with the ending of the format.")
@click.option("--microphone", is_flag=True, help="Record until Ctrl-C, and write that down.")
@click.option("--seconds", type=click.FloatRange(0.1), help="End the recording by itself after so long.")
@server_options
def command(  # noqa: PLR0913, PLR0917 - click hands over each option by itself
    files: Sequence[Path],
    written: str,
    model: str,
    language: str | None,
    translate: bool,
    beside: bool,
    microphone: bool,
    seconds: float | None,
    url: str | None,
    key: str | None,
    data: Path | None,
) -> None:
    """Write down what is said in FILES, one after the other, or into the microphone."""
    if microphone == bool(files) or (microphone and beside) or (seconds is not None and not microphone):
        raise click.UsageError("name files, or say --microphone (with --seconds, if you like), and not both")
    fields = {"model": model, "response_format": written}
    if language is not None:
        fields["language"] = language
    with in_one_line():
        server = find_server(url=url, key=key, data=data)
        with tempfile.TemporaryDirectory(prefix="parley-") as folder:
            sources = [_recorded(Path(folder), seconds)] if microphone else files
            wanted = _Wanted(fields=fields, is_translation=translate, is_beside=beside)
            try:
                has_all = asyncio.run(_write_all(server, wanted, sources))
            except KeyboardInterrupt:
                raise SystemExit(INTERRUPTED) from None
    if not has_all:
        raise SystemExit(REFUSED)


def _recorded(folder: Path, seconds: float | None) -> Path:
    file = folder / "microphone.wav"
    click.echo(
        "Listening; Ctrl-C ends the recording." if seconds is None else f"Listening for {seconds:g} s.", err=True
    )
    heard = record(file, seconds=seconds)
    click.echo(f"\n{heard:.1f} s were recorded.", err=True)
    return file


async def _write_all(server: Server, wanted: _Wanted, files: Sequence[Path]) -> bool:
    """Whether all files were written down; of one that was not, it is said why."""
    num_failed = 0
    for number, file in enumerate(files, 1):
        click.echo(f"{file} ({number} of {len(files)})", err=True)
        try:
            await _write(server, wanted, file)
        except NoServer:
            raise
        except CommandFailed as error:
            error.show()
            num_failed += 1
    return not num_failed


async def _write(server: Server, wanted: _Wanted, file: Path) -> None:
    form = wanted.fields["response_format"]
    if form == "text" and not wanted.is_translation and not wanted.is_beside:
        # The words themselves show how far it is.
        fields = {**wanted.fields, "response_format": "json"}
        async with aclosing(upload_streamed(server, wanted.path, fields, file)) as pieces:
            async for piece in pieces:
                click.echo(piece, nl=False)
        click.echo()
        return
    columns = (SpinnerColumn(), TextColumn("Listening"), TimeElapsedColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        progress.add_task("hear", total=None)
        text = await upload(server, wanted.path, wanted.fields, file)
    if not wanted.is_beside:
        click.echo(text.rstrip("\n"))
        return
    target = file.with_suffix(_ENDINGS[form])
    try:
        target.write_text(text, encoding="utf-8")
    except OSError as error:
        raise CommandFailed(f"{target} cannot be written: {error.strerror}") from None
    click.echo(f"written to {target}", err=True)
