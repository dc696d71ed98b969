"""How many tokens a prompt may have, for those who cannot tokenise it: an estimate, and named so wherever it is used."""

from parley.core.requests import ChatPrompt, Prompt

# English in today's vocabularies has about four bytes in a token; other languages have fewer, code has more of them.
_BYTES_IN_TOKEN = 4
_TOKENS_AROUND_MESSAGE = 4


def estimate_tokens(prompt: Prompt) -> int:
    """About how many tokens `prompt` has; at least 1."""
    if isinstance(prompt, ChatPrompt):
        num_bytes = sum(len(message.content.encode()) for message in prompt.messages)
        around = _TOKENS_AROUND_MESSAGE * len(prompt.messages)
    else:
        num_bytes = len((prompt.text or "").encode()) + len((prompt.suffix or "").encode())
        around = len(prompt.token_ids or ())
    return max(1, around + -(-num_bytes // _BYTES_IN_TOKEN))
