"""The tokenizer seam: text to the served model's token ids, with the trust of each piece of text said by the caller."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from msgspec import Struct


class Segment(Struct, frozen=True):
    """A piece of a rendered prompt.

    `is_control` is True for scaffolding that we wrote: special tokens in it are promoted. Content is always False: what
    looks like a special token in it stays text.
    """

    text: str
    is_control: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """Facts of one tokenizer that do not change while it is loaded."""

    num_tokens: int
    # The longest token, in bytes: a text of more than `context * longest_token_bytes` bytes can never fit.
    longest_token_bytes: int
    # Every token that promotes: text -> id.
    special_tokens: dict[str, int]
    # Token ids before which a completion prompt starts (BOS), empty when the model wants none.
    bos: tuple[int, ...]
    # Ids that end a generation; a prompt of token ids may hold them, an engine may refuse them.
    end_of_generation: frozenset[int]
    # (prefix, suffix, middle) ids for fill-in-the-middle, None when the model has none.
    fim: tuple[int, int, int] | None
    # Those of the special tokens whose text an engine writes like any other; of the rest it writes nothing unasked.
    written_specials: frozenset[str] = frozenset()


class Tokenizer(Protocol):
    """One snapshot's tokenizer. Raises EngineFailed when its worker is gone."""

    @property
    def vocabulary(self) -> Vocabulary: ...

    async def encode(self, segments: Sequence[Segment]) -> list[int]:
        """Token ids of the segments, one after another; each is tokenised by itself, but where the vocabulary's tokens hold
        the space before a word: there the text between two special tokens is one."""
        ...

    async def pieces(self, token_ids: Sequence[int]) -> list[bytes]:
        """The bytes of each token, special tokens by their text. Ids must be inside the vocabulary."""
        ...
