"""Prompts that an upstream tokenises itself: handed on as they were written, with an estimate of their length."""

from parley.core.errors import ContextLengthExceeded
from parley.core.estimate import estimate_text_tokens, estimate_tokens
from parley.core.grant import PreparedPrompt
from parley.core.requests import ChatPrompt, GenerationRequest, Prompt
from parley.core.snapshot import Snapshot

# Nobody's tokens are longer on average: a text of more bytes for each token of the window cannot fit.
_MOST_BYTES_IN_TOKEN = 32


def prepare_untokenized(request: GenerationRequest, prompt: Prompt, snapshot: Snapshot) -> PreparedPrompt:
    """The prompt with an estimate that leaves room for the reply in the window: whether it fits, the upstream says exactly.

    Raises ContextLengthExceeded for what no tokenisation could make fit.
    """
    estimated = estimate_text_tokens(prompt)
    if estimated * 4 > snapshot.context_length * _MOST_BYTES_IN_TOKEN:
        is_chat = isinstance(prompt, ChatPrompt)
        raise ContextLengthExceeded(
            f"This model's maximum context length is {snapshot.context_length} tokens. However, your "
            f"{'messages' if is_chat else 'prompt'} resulted in about {estimated} tokens. Please reduce the length of the "
            f"{'messages' if is_chat else 'prompt'}.",
            param="messages" if is_chat else None,
            code="context_length_exceeded" if is_chat else None,
        )
    room = max(1, snapshot.context_length - max(1, request.max_tokens or 1))
    return PreparedPrompt(source=prompt, estimated_tokens=min(estimate_tokens(prompt), room))
