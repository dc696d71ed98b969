"""`parley credits`: what an organization has, top-ups, grants, monthly budgets, prices of its own."""

from pathlib import Path
from typing import TypedDict, Unpack

import click

from parley.api.platform.money_commands import (
    AddCredits,
    GrantCredits,
    MoneyCommand,
    SetBudget,
    SetPrice,
    ShowCredits,
    ThawAccount,
)
from parley.cli.failures import in_one_line
from parley.cli.options import folder_option
from parley.cli.state import change_state
from parley.cli.tables import print_table
from parley.core.durations import MAX_LIFETIME_DAYS
from parley.core.money import MAX_PRICE_NANO, parse_dollars
from parley.infra.settings import load_settings

_organization = click.option(
    "--org", "organization_id", help="The organization's id. [that of the first start]", metavar="ID"
)


_NANO = click.IntRange(min=0, max=MAX_PRICE_NANO)


class _PriceOptions(TypedDict):
    """The options of `price`, named as they are written."""

    audio_second: int | None
    training_token: int | None
    images: tuple[tuple[str, int], ...]
    organization_id: str | None
    data: Path | None


class _Dollars(click.ParamType[int]):
    name = "dollars"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        try:
            return parse_dollars(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


@click.group()
def command() -> None:
    """Show and change what organizations may spend. Amounts are in US dollars."""


@command.command()
@_organization
@folder_option
def show(organization_id: str | None, data: Path | None) -> None:
    """Show credit, grants, what is held and what the month has cost."""
    _perform(data, ShowCredits(organization_id=organization_id))


@command.command()
@click.argument("amount", type=_Dollars())
@click.option("--payment", help="A name for this payment; the same name counts once.")
@click.option("--note", default="", help="Kept with the entry.")
@_organization
@folder_option
def add(amount: int, payment: str | None, note: str, organization_id: str | None, data: Path | None) -> None:
    """Add AMOUNT of paid credit, which does not expire."""
    _perform(data, AddCredits(nano=amount, organization_id=organization_id, payment=payment, note=note))


@command.command()
@click.argument("amount", type=_Dollars())
@click.option(
    "--days", type=click.FloatRange(min=0, min_open=True, max=MAX_LIFETIME_DAYS), default=90.0, show_default=True
)
@_organization
@folder_option
def grant(amount: int, days: float, organization_id: str | None, data: Path | None) -> None:
    """Give AMOUNT of credit that expires after some days. It is used first."""
    _perform(data, GrantCredits(nano=amount, days=days, organization_id=organization_id))


@command.command()
@click.argument("scope")
@click.argument("amount", type=_Dollars(), required=False)
@folder_option
def budget(scope: str, amount: int | None, data: Path | None) -> None:
    """Let SCOPE (the id of an organization, a project or a key) spend AMOUNT a month at most; no amount: no bound."""
    _perform(data, SetBudget(scope=scope, limit_nano=amount))
    click.echo(f"{scope}: " + ("no monthly budget" if amount is None else "monthly budget set"))


@command.command()
@click.argument("model")
@click.argument("nano", type=_NANO, nargs=-1)
@click.option("--audio-second", type=_NANO, help="One second of audio.")
@click.option("--training-token", type=_NANO, help="One token that the model is tuned on.")
@click.option("--image", "images", type=(str, _NANO), multiple=True, metavar="SIZE NANO", help="One picture of a size.")
@_organization
@folder_option
def price(model: str, nano: tuple[int, ...], **options: Unpack[_PriceOptions]) -> None:
    """Give an organization its own price for MODEL, in nano-dollars for an input, a cached input and an output token.

    What is not stated costs what everybody pays today, and goes on costing that; where nothing is stated, the
    organization pays what everybody pays again.
    """
    if len(nano) not in {0, 3}:
        raise click.UsageError("give three prices (input, cached input, output), or none")
    wanted = SetPrice(
        model=model,
        numbers=(nano[0], nano[1], nano[2]) if nano else None,
        audio_second_nano=options["audio_second"],
        training_token_nano=options["training_token"],
        image_nano=dict(options["images"]),
        organization_id=options["organization_id"],
    )
    _perform(options["data"], wanted)
    click.echo(f"{model}: " + ("the usual price" if wanted.own is None else "price set"))


@command.command()
@click.argument("organization_id")
@folder_option
def thaw(organization_id: str, data: Path | None) -> None:
    """Let an account that was frozen buy again, once you know why its figures did not agree."""
    _perform(data, ThawAccount(organization_id=organization_id))


def _perform(data: Path | None, wanted: MoneyCommand) -> None:
    with in_one_line():
        reply = change_state(load_settings({"data": data}), wanted)
    if reply.lines:
        print_table(("WHAT", "VALUE"), [(line["what"], line["value"]) for line in reply.lines])
