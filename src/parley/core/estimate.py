"""How many tokens a prompt may have, for those who cannot tokenise it: an estimate, and named so wherever it is used."""

from collections.abc import Iterator

from parley.core.picture import Detail
from parley.core.requests import ChatMessage, ChatPrompt, Prompt, Schema, Tools

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
        around = _TOKENS_AROUND_MESSAGE * len(prompt.messages)
    else:
        around = len(prompt.token_ids or ())
    return max(1, around + -(-num_text_bytes(prompt) // _BYTES_IN_TOKEN))


def num_text_bytes(prompt: Prompt) -> int:
    """How many bytes all texts have together that a model reads of the prompt: no token is shorter than one of them."""
    return sum(len(text.encode()) for text in _texts_of(prompt) if text)


def _texts_of(prompt: Prompt) -> Iterator[str | None]:
    """Each text that the caller wrote and a server is given: also what stands in calls, declarations and forms of answers."""
    if not isinstance(prompt, ChatPrompt):
        yield from (prompt.text, prompt.suffix)
        return
    for message in prompt.messages:
        yield from _texts_of_message(message)
    if prompt.tools is not None:
        yield from _texts_of_tools(prompt.tools)
    if prompt.answer is not None:
        yield from _texts_of_schema(prompt.answer)


def _texts_of_message(message: ChatMessage) -> Iterator[str | None]:
    yield from (message.content, message.name, message.call_id)
    for call in message.calls:
        yield from (call.call_id, call.name, call.arguments)


def _texts_of_tools(tools: Tools) -> Iterator[str | None]:
    yield tools.only
    for function in tools.functions:
        yield from (function.name, function.description)
        if function.parameters is not None:
            yield from _texts_of_schema(function.parameters)


def _texts_of_schema(schema: Schema) -> Iterator[str | None]:
    yield schema.text
    if schema.label is not None:
        yield from (schema.label.name, schema.label.description)
