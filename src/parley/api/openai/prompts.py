"""Completion prompts from the wire: one or many, as text or as token ids."""

from parley.api.explain import wording
from parley.api.openai.schemas.completions import CompletionParameters
from parley.core.errors import InvalidRequest
from parley.core.requests import TextPrompt

MAX_PROMPTS = 2048


def to_prompts(body: CompletionParameters) -> tuple[TextPrompt, ...]:
    """The prompts, each with the suffix. Raises InvalidRequest for a list of mixed items."""
    # An empty suffix asks for what a completion does anyway.
    suffix = body.suffix or None
    if suffix is not None and body.echo:
        raise InvalidRequest(
            "The 'suffix' parameter cannot be used together with 'echo'.", param="suffix", code="invalid_value"
        )
    prompt = body.prompt
    if prompt is None or isinstance(prompt, str):
        # Without a prompt the model writes as from the beginning of a document, which is the empty text.
        return (TextPrompt(text=prompt or "", suffix=suffix),)
    if isinstance(prompt[0], int):
        return (TextPrompt(token_ids=_token_ids(prompt), suffix=suffix),)
    if len(prompt) > MAX_PROMPTS:
        raise wording.array_too_long("prompt", most=MAX_PROMPTS, length=len(prompt))
    if isinstance(prompt[0], str):
        return tuple([TextPrompt(text=_text(item, index), suffix=suffix) for index, item in enumerate(prompt)])
    return tuple([TextPrompt(token_ids=_token_list(item, index), suffix=suffix) for index, item in enumerate(prompt)])


def _token_ids(items: list[str | int | list[int]]) -> tuple[int, ...]:
    token_ids = tuple([item for item in items if isinstance(item, int)])
    if len(token_ids) < len(items):
        index = next(index for index, item in enumerate(items) if not isinstance(item, int))
        raise wording.wrong_type(f"prompt[{index}]", "an integer", items[index])
    return token_ids


def _text(item: str | int | list[int], index: int) -> str:
    if not isinstance(item, str):
        raise wording.wrong_type(f"prompt[{index}]", "a string", item)
    return item


def _token_list(item: str | int | list[int], index: int) -> tuple[int, ...]:
    if not isinstance(item, list):
        raise wording.wrong_type(f"prompt[{index}]", "an array of integers", item)
    return tuple(item)
