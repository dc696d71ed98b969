"""How many tokens a prompt may have, for those who cannot tokenise it: an estimate, and named so wherever it is used."""

from parley.core.picture import Detail
from parley.core.requests import ChatPrompt, Prompt

# English in today's vocabularies has about four bytes in a token; other languages have fewer, code has more of them.
_BYTES_IN_TOKEN = 4
_TOKENS_AROUND_MESSAGE = 4
# What OpenAI documents for a picture that is looked at from afar, and for one of 1024 x 1024 that is looked at closely.
_TOKENS_OF_PICTURE, _TOKENS_OF_CLOSE_PICTURE = 85, 765


def estimate_tokens(prompt: Prompt) -> int:
    """About how many tokens `prompt` has; at least 1."""
    return estimate_text_tokens(prompt) + sum(
        _TOKENS_OF_PICTURE if inset.source.detail is Detail.LOW else _TOKENS_OF_CLOSE_PICTURE
        for message in (prompt.messages if isinstance(prompt, ChatPrompt) else ())
        for inset in message.pictures
    )


def estimate_text_tokens(prompt: Prompt) -> int:
    """The same without its pictures, of which nobody but their model can say that they are too much for it."""
    if isinstance(prompt, ChatPrompt):
        num_bytes = sum(len(message.content.encode()) for message in prompt.messages)
        around = _TOKENS_AROUND_MESSAGE * len(prompt.messages)
    else:
        num_bytes = len((prompt.text or "").encode()) + len((prompt.suffix or "").encode())
        around = len(prompt.token_ids or ())
    return max(1, around + -(-num_bytes // _BYTES_IN_TOKEN))
