"""The echo engine's tokenizer: bytes, and special tokens where scaffolding asks for them."""

import re
from collections.abc import Sequence
from functools import lru_cache

from parley.core import echo
from parley.core.tokenizer import Segment, Vocabulary

_SPECIAL = re.compile("|".join(re.escape(text) for text in echo.SPECIAL_TOKENS))


class EchoTokenizer:
    """A `Tokenizer` without a worker."""

    vocabulary = Vocabulary(
        num_tokens=echo.NUM_TOKENS,
        longest_token_bytes=1,
        special_tokens=dict(echo.SPECIAL_TOKENS),
        bos=(),
        end_of_generation=echo.END_OF_GENERATION,
        fim=echo.FIM,
    )

    async def encode(self, segments: Sequence[Segment]) -> list[int]:
        token_ids: list[int] = []
        for segment in segments:
            if segment.is_control:
                token_ids.extend(_encode_control(segment.text))
            else:
                token_ids.extend(segment.text.encode())
        return token_ids

    async def pieces(self, token_ids: Sequence[int]) -> list[bytes]:
        return [echo.piece(token_id) for token_id in token_ids]


# Scaffolding, which is a template's, and not a user's.
@lru_cache(maxsize=512)
def _encode_control(text: str) -> tuple[int, ...]:
    token_ids: list[int] = []
    position = 0
    for match in _SPECIAL.finditer(text):
        token_ids.extend(text[position : match.start()].encode())
        token_ids.append(echo.SPECIAL_TOKENS[match.group()])
        position = match.end()
    token_ids.extend(text[position:].encode())
    return tuple(token_ids)
