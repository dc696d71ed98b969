"""`parley pull`: bring a model in from a model hub or a URL and let it answer."""

from pathlib import Path

import click

from parley.cli.failures import in_one_line
from parley.cli.options import folder_option
from parley.cli.pulling import PullRequest, pull, recommended_models
from parley.cli.state import require_installation
from parley.cli.tables import print_table
from parley.infra.memory import available_memory
from parley.infra.settings import load_settings


class Sha256(click.ParamType[str]):
    """A SHA-256 in hex."""

    name = "hash"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The hash in small letters; click's own refusal otherwise."""
        if len(value) != 64 or not set(value.lower()) <= set("0123456789abcdef"):
            self.fail("a SHA-256 has 64 hexadecimal digits", param, ctx)
        return value.lower()


@click.command()
@click.argument("model", required=False)
@click.option("--name", help="What to call it. [its short name, or the file's]")
@click.option("--template", help="How chats are written for it. [told from the file]")
@click.option("--context", type=click.IntRange(128), help="Tokens that a slot serves. [the model's, up to 8,192]")
@click.option("--sha256", type=Sha256(), help="What a URL's file must hash to.")
@click.option("--yes", is_flag=True, help="Take the usual quantisation without asking.")
@click.option("--text-only", is_flag=True, help="Leave what sees for the model where it is.")
@folder_option
def command(  # noqa: PLR0913, PLR0917 - click hands over each option by itself
    model: str | None,
    name: str | None,
    template: str | None,
    context: int | None,
    sha256: str | None,
    yes: bool,
    text_only: bool,
    data: Path | None,
) -> None:
    """Bring MODEL in and let it answer every stand-in name from now on.

    MODEL is a short name (without MODEL they are listed), owner/repository of the hub, the same with a quantisation or a
    file (owner/repository:Q4_K_M), or the https URL of a .gguf file. A repository's projector comes along, so that the model
    takes images. An interrupted pull goes on where it was.
    """
    if model is None:
        _show_recommended()
        return
    with in_one_line():
        settings = load_settings({"data": data})
        require_installation(settings)
        request = PullRequest(
            text=model,
            name=name,
            template=template,
            context_length=context,
            sha256=sha256,
            takes_default=yes,
            is_text_only=text_only,
        )
        pull(settings, request)


def _show_recommended() -> None:
    memory = available_memory()
    rows = [
        (
            model.name,
            f"about {model.memory_gb:g} GB"
            + ("" if memory is None or model.memory_gb * 1e9 <= memory else " (too much now)"),
            model.licence,
            model.about,
        )
        for model in recommended_models().values()
    ]
    print_table(("NAME", "MEMORY", "LICENCE", "ABOUT"), rows)
