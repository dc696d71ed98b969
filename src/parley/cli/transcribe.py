"""`parley transcribe`: write down what is said in files or into the microphone, beside the files or on standard output."""

import asyncio
import tempfile
from collections.abc import Sequence
from pathlib import Path

import click

from parley.cli.client import Server, find_server, upload
from parley.cli.failures import INTERRUPTED, CommandFailed, in_one_line
from parley.cli.microphone import record
from parley.cli.options import server_options

_ENDINGS = {"text": ".txt", "srt": ".srt", "vtt": ".vtt", "json": ".json", "verbose_json": ".json"}


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
    path = "/v1/audio/translations" if translate else "/v1/audio/transcriptions"
    fields = {"model": model, "response_format": written}
    if language is not None:
        fields["language"] = language
    with in_one_line():
        server = find_server(url=url, key=key, data=data)
        with tempfile.TemporaryDirectory(prefix="parley-") as folder:
            sources = [_recorded(Path(folder), seconds)] if microphone else files
            try:
                asyncio.run(_write_all(server, path, fields, sources, is_beside=beside))
            except KeyboardInterrupt:
                raise SystemExit(INTERRUPTED) from None


def _recorded(folder: Path, seconds: float | None) -> Path:
    file = folder / "microphone.wav"
    click.echo(
        "Listening; Ctrl-C ends the recording." if seconds is None else f"Listening for {seconds:g} s.", err=True
    )
    heard = record(file, seconds=seconds)
    click.echo(f"\n{heard:.1f} s were recorded.", err=True)
    return file


async def _write_all(
    server: Server, path: str, fields: dict[str, str], files: Sequence[Path], *, is_beside: bool
) -> None:
    for number, file in enumerate(files, 1):
        click.echo(f"{file} ({number} of {len(files)})", err=True)
        if not file.is_file():
            raise CommandFailed(f"{file} is no file that can be read")
        text = await upload(server, path, fields, file)
        if is_beside:
            target = file.with_suffix(_ENDINGS[fields["response_format"]])
            target.write_text(text, encoding="utf-8")
            click.echo(f"written to {target}", err=True)
        else:
            click.echo(text.rstrip("\n"))
