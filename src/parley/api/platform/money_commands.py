"""The control socket's commands on money: amounts are integers of nano-dollars, answers are lines for the terminal."""

import msgspec

from parley.core.durations import day
from parley.core.money import format_dollars
from parley.operations import credit
from parley.operations.command_line import operator
from parley.operations.credit import Credits, OwnPrice
from parley.operations.records import Records


class ShowCredits(msgspec.Struct, tag="credits.show", forbid_unknown_fields=True, kw_only=True):
    """Show an organization's money; None: that of the first start, here and below."""

    organization_id: str | None = None


class AddCredits(msgspec.Struct, tag="credits.add", forbid_unknown_fields=True, kw_only=True):
    """Add paid credit. `payment` names it: the same one counts once."""

    nano: int
    organization_id: str | None = None
    payment: str | None = None
    note: str = ""


class GrantCredits(msgspec.Struct, tag="credits.grant", forbid_unknown_fields=True, kw_only=True):
    """Give credit that expires."""

    nano: int
    days: float
    organization_id: str | None = None


class SetBudget(msgspec.Struct, tag="credits.budget", forbid_unknown_fields=True, kw_only=True):
    """Set what an organization, a project or a key may spend in a month; None lifts it."""

    scope: str
    limit_nano: int | None = None


class SetPrice(msgspec.Struct, tag="credits.price", forbid_unknown_fields=True, kw_only=True):
    """Set what an organization pays for a model, in nano-dollars; what is not said, and all where nothing is: as everybody."""

    model: str
    # One token: input, cached input, output.
    numbers: tuple[int, int, int] | None = None
    audio_second_nano: int | None = None
    training_token_nano: int | None = None
    image_nano: dict[str, int] = {}
    organization_id: str | None = None

    @property
    def own(self) -> OwnPrice | None:
        """What is said; None: nothing."""
        if self.numbers is None and self.audio_second_nano is self.training_token_nano is None and not self.image_nano:
            return None
        new, cached, output = self.numbers or (None, None, None)
        return OwnPrice(
            input_token_nano=new,
            cached_token_nano=cached,
            output_token_nano=output,
            audio_second_nano=self.audio_second_nano,
            training_token_nano=self.training_token_nano,
            image_nano=self.image_nano,
        )


class ThawAccount(msgspec.Struct, tag="credits.thaw", forbid_unknown_fields=True, kw_only=True):
    """Let an account that the reconciler froze buy again."""

    organization_id: str


MoneyCommand = ShowCredits | AddCredits | GrantCredits | SetBudget | SetPrice | ThawAccount


async def perform_on_money(records: Records, command: MoneyCommand) -> list[dict[str, str]]:
    """Run the operation; lines for the terminal. Raises ParleyError for a refusal."""
    actor = await operator(records, None if isinstance(command, SetBudget) else command.organization_id)
    match command:
        case ShowCredits():
            return _lines(await credit.show_credits(records, actor))
        case AddCredits():
            payment, note = command.payment, command.note
            return _lines(await credit.top_up(records, actor, command.nano, payment=payment, note=note))
        case GrantCredits():
            return _lines(await credit.grant(records, actor, command.nano, days=command.days))
        case SetBudget():
            await credit.set_budget(records, actor, command.scope, command.limit_nano)
        case SetPrice():
            await credit.set_price(records, actor, command.model, command.own)
        case ThawAccount():
            return _lines(await credit.thaw(records, actor))
    return []


def _lines(credits_now: Credits) -> list[dict[str, str]]:
    """What there is, one line each."""
    lines = [
        ("organization", credits_now.organization_id),
        ("mode", "metered" if credits_now.is_metered else "open: nothing is refused, cost is recorded"),
        ("paid credit", format_dollars(credits_now.credit_nano)),
    ]
    for grant in credits_now.grants:
        lines.append((f"grant until {day(grant.expires_at)}", format_dollars(grant.left_nano)))
    lines += [
        ("held by running requests", format_dollars(credits_now.held_nano)),
        ("available", format_dollars(credits_now.available_nano)),
        ("charged this month", format_dollars(credits_now.month_nano)),
    ]
    if credits_now.is_frozen:
        lines.append(("frozen", "its figures do not agree; see the server's log, then `parley credits thaw`"))
    return [{"what": what, "value": value} for what, value in lines]
