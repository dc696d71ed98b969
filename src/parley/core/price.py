"""Prices: integers in nano-dollars, per unit, dated by a version."""

from dataclasses import dataclass

NANO_PER_DOLLAR = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """Nano-dollars per single token (or second, image); `version` names the price list that was in force."""

    version: str
    input_token_nano: int = 0
    cached_token_nano: int = 0
    output_token_nano: int = 0
    audio_second_nano: int = 0


FREE = Price(version="free")
