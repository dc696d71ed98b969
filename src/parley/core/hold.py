"""A hold: credit that is reserved for one request, at the price that was in force when it was admitted."""

from msgspec import Struct

from parley.core.claim import Claim
from parley.core.price import Price
from parley.core.principal import Principal


class Hold(Struct, eq=False, kw_only=True):
    """Reserved for `request_id` until it is closed. Whoever opened it closes it; only the books change it.

    `amount_nano` is the most that the request can be charged, in nano-dollars. `opened_at` is in seconds since the epoch.
    """

    request_id: str
    principal: Principal
    price: Price
    amount_nano: int
    opened_at: float
    # Output tokens, over all sequences, that the amount covers.
    num_output_tokens: int
    # The key under which the client may send the request again; None where it named none.
    claim: Claim | None = None
    is_open: bool = True
    # Whether a row of it is in the database, or on its way there.
    is_journalled: bool = False


class Need(Struct, frozen=True, kw_only=True):
    """What a request asks to have covered: its whole input, and output tokens over all its sequences.

    At least `min_output_tokens` must be affordable; `output_tokens` are wanted, and what lies between is taken as the
    balance allows. `other_nano` is the cost of what is not counted in tokens or seconds (pictures).
    """

    input_tokens: int = 0
    min_output_tokens: int = 0
    output_tokens: int = 0
    audio_seconds: int = 0
    other_nano: int = 0

    @property
    def num_tokens(self) -> int:
        """All tokens that are wanted."""
        return self.input_tokens + self.output_tokens
