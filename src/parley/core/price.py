"""Prices: integers in nano-dollars, per unit, dated by a version; and what a usage costs at a price."""

from dataclasses import dataclass

from parley.core.usage import Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """Nano-dollars per single unit; `version` names the price list that was in force and the numbers in it.

    An embedding's tokens are input tokens.
    """

    version: str
    input_token_nano: int = 0
    cached_token_nano: int = 0
    output_token_nano: int = 0
    audio_second_nano: int = 0
    training_token_nano: int = 0
    # (size, nano-dollars for one picture), such as ("512x512", 18_000_000).
    image_nano: tuple[tuple[str, int], ...] = ()

    @property
    def numbers(self) -> tuple[int | str, ...]:
        """Everything that makes this price differ from another, in a fixed order."""
        return (
            self.input_token_nano,
            self.cached_token_nano,
            self.output_token_nano,
            self.audio_second_nano,
            self.training_token_nano,
            *(part for size in sorted(self.image_nano) for part in size),
        )

    @property
    def dearest_input_nano(self) -> int:
        """The most that one input token can cost, whether or not the prefix cache serves it."""
        return max(self.input_token_nano, self.cached_token_nano)


FREE = Price(version="free")


def charge_nano(price: Price, usage: Usage) -> int:
    """What the usage costs, in whole nano-dollars: every count and every price is an integer, so nothing is rounded.

    A price that names no sizes charges nothing for pictures; where it names some, another size raises ValueError.
    """
    charge = (
        (usage.input_tokens - usage.cached_tokens) * price.input_token_nano
        + usage.cached_tokens * price.cached_token_nano
        + usage.output_tokens * price.output_token_nano
    )
    if usage.audio_seconds:
        charge += usage.audio_seconds * price.audio_second_nano
    if usage.training_tokens:
        charge += usage.training_tokens * price.training_token_nano
    if usage.images:
        charge += _images_nano(price, usage)
    return charge


def _images_nano(price: Price, usage: Usage) -> int:
    if not price.image_nano:
        return 0
    by_size = dict(price.image_nano)
    missing = [size for size, _ in usage.images if size not in by_size]
    if missing:
        raise ValueError(f"price {price.version} has none for a picture of {missing[0]}")
    return sum(count * by_size[size] for size, count in usage.images)
