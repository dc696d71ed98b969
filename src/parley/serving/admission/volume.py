"""Is the reply of a size that a server can hold? All its tokens, with the candidates of each, are in memory at once."""

from collections.abc import Sequence

from parley.core.errors import InvalidRequest
from parley.core.grant import PreparedPrompt
from parley.core.requests import GenerationRequest

# Tokens of all sequences and of the echoed prompts together; each log-probability beside a token counts as one more.
MAX_REPLY_TOKENS = 2**20


def most_tokens_each(request: GenerationRequest) -> int:
    """What each sequence may generate where the request sets no limit itself; at least 1."""
    return max(1, MAX_REPLY_TOKENS // (_weight(request) * _num_sequences(request) * len(request.prompts)))


def check_reply_tokens(
    request: GenerationRequest, prompts: Sequence[PreparedPrompt], max_tokens: Sequence[int]
) -> None:
    """Raise InvalidRequest for a reply that could become too large; `max_tokens` are those of each prompt's sequences."""
    num_tokens = sum(max_tokens) * _num_sequences(request)
    if request.echo:
        num_tokens += sum(len(prompt.echo_ids) for prompt in prompts) * request.n
    num_tokens *= _weight(request)
    if num_tokens > MAX_REPLY_TOKENS:
        raise InvalidRequest(
            f"This request could produce {num_tokens} tokens and log-probabilities, over all prompts and choices; a reply "
            f"may have {MAX_REPLY_TOKENS}. Please reduce 'max_tokens', 'n', 'best_of', the log-probabilities or the prompts.",
            param="max_tokens",
            code="invalid_value",
        )


def _weight(request: GenerationRequest) -> int:
    """What a token counts with the log-probabilities that come with it."""
    return 1 if request.sampling.logprobs is None else 1 + request.sampling.logprobs


def _num_sequences(request: GenerationRequest) -> int:
    return max(request.n, request.best_of)
