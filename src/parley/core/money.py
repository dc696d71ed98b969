"""Money: whole nano-dollars, and how they are written and read as US dollars."""

import re
from decimal import Decimal

NANO_PER_DOLLAR = 1_000_000_000
# The most that one top-up, grant or budget may be, ten million dollars: a thousand such sums fit a database's integers.
MAX_NANO = 10**16
# The most that one token, second or picture may cost: a request of the largest size at this price fits them too.
MAX_PRICE_NANO = 10**12

_DOLLARS = re.compile(r"\$?(\d{1,10})(?:\.(\d{1,9}))?")


def format_dollars(nano: int) -> str:
    """The exact amount, with at least two decimals: 1_500_000_000 is `$1.50`, -1 is `-$0.000000001`."""
    whole, rest = divmod(abs(nano), NANO_PER_DOLLAR)
    decimals = f"{rest:09}".rstrip("0").ljust(2, "0")
    return f"{'-' if nano < 0 else ''}${whole}.{decimals}"


def parse_dollars(text: str) -> int:
    """Nano-dollars of an amount that a person wrote: `18`, `$18.50`. Raises ValueError for anything else."""
    match = _DOLLARS.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is no amount in dollars, such as 18 or 18.50, with at most nine decimals")
    nano = int(match[1]) * NANO_PER_DOLLAR + int((match[2] or "").ljust(9, "0"))
    if nano > MAX_NANO:
        raise ValueError(f"{text!r} is more than one amount can be")
    return nano


def to_number(nano: int) -> float:
    """Dollars as a number of JSON, for replies whose shape asks for one; the nearest that a double can say."""
    return float(Decimal(nano) / NANO_PER_DOLLAR)
