"""Log-probabilities of an upstream's tokens as events carry them, from both of OpenAI's shapes."""

import asyncio
import heapq
import re
from collections.abc import Iterable, Mapping

from parley.core.errors import EngineFailed
from parley.core.events import Alternative, ScoredToken
from parley.core.tokenizer import Tokenizer
from parley.serving.engines.openai_server.frames import WireLogprobs, WireToken

# How servers that were asked to write ids in the place of texts.
_WRITTEN_ID = re.compile(r"token_id:(\d{1,9})")
# So many are read without giving others a turn.
_TOKENS_PER_TURN = 512
# No token is told at greater length, whether it was scored or could have stood there.
_SCORE_BYTES = 256


def most_score_bytes(num_tokens: int, num_top: int) -> int:
    """What the log-probabilities of so many tokens may be long, as JSON, with `num_top` alternatives to each."""
    return num_tokens * (2 + num_top) * _SCORE_BYTES


async def read_scores(logprobs: WireLogprobs, num_top: int, tokenizer: Tokenizer | None) -> tuple[ScoredToken, ...]:
    """The tokens of one chunk, each with at most `num_top` alternatives. Raises EngineFailed for arrays that do not fit.

    With the served model's tokenizer, a token that has an id has its exact bytes; otherwise the text that was sent.
    """
    tokens = _from_arrays(logprobs, num_top) if logprobs.content is None else logprobs.content
    pieces = await _pieces(tokens, tokenizer)
    scored: list[ScoredToken] = []
    for token in tokens:
        scored.append(_scored(token, num_top, pieces))
        if not len(scored) % _TOKENS_PER_TURN:
            await asyncio.sleep(0)
    return tuple(scored)


def _scored(token: WireToken, num_top: int, pieces: Mapping[int, bytes]) -> ScoredToken:
    top = tuple(
        Alternative(_id_of(each), _piece(each, pieces), each.logprob)
        for each in (token.top_logprobs or ())[:num_top]
        if each.logprob is not None
    )
    return ScoredToken(_id_of(token), _piece(token, pieces), token.logprob, top)


def _piece(token: WireToken, pieces: Mapping[int, bytes]) -> bytes:
    """The token's bytes: the tokenizer's, else the server's own, else those of the text, which may stand for half a character."""
    token_id = _id_of(token)
    known = None if token_id is None else pieces.get(token_id)
    if known is not None:
        return known
    try:
        told = bytes(token.bytes or ())
    except ValueError:
        told = b""
    return told or token.token.encode(errors="replace")


async def _pieces(tokens: Iterable[WireToken], tokenizer: Tokenizer | None) -> dict[int, bytes]:
    if tokenizer is None:
        return {}
    named = {_id_of(each) for token in tokens for each in (token, *(token.top_logprobs or ()))}
    inside = sorted(
        token_id for token_id in named if token_id is not None and token_id < tokenizer.vocabulary.num_tokens
    )
    return dict(zip(inside, await tokenizer.pieces(inside), strict=True))


def _id_of(token: WireToken) -> int | None:
    if token.id is not None and token.id >= 0:
        return token.id
    written = _WRITTEN_ID.fullmatch(token.token)
    return None if written is None else int(written.group(1))


def _from_arrays(logprobs: WireLogprobs, num_top: int) -> list[WireToken]:
    texts, own, top = logprobs.tokens or [], logprobs.token_logprobs or [], logprobs.top_logprobs or []
    if len(own) != len(texts) or len(top) not in (0, len(texts)):
        raise EngineFailed(f"the upstream sent {len(texts)} tokens with {len(own)} and {len(top)} log-probabilities")
    return [
        WireToken(token=text, logprob=own[i], top_logprobs=_ranked((top[i] if top else None) or {}, num_top))
        for i, text in enumerate(texts)
    ]


def _ranked(candidates: Mapping[str, float], num_top: int) -> list[WireToken]:
    ranked = heapq.nlargest(num_top, candidates.items(), key=lambda candidate: candidate[1])
    return [WireToken(token=text, logprob=logprob) for text, logprob in ranked]
