"""Does it fit the window? How many tokens each prompt's sequences may generate, or the refusal."""

from parley.core.errors import ContextLengthExceeded
from parley.core.grant import PreparedPrompt
from parley.core.requests import ChatPrompt, GenerationRequest, Prompt
from parley.core.snapshot import Snapshot
from parley.serving.admission.volume import most_tokens_each

# OpenAI's tokens are seldom longer than this on average, and a message takes at least so many beside its text.
_LONGEST_TOKEN_BYTES = 6
_TOKENS_OF_A_MESSAGE = 3


def resolve_max_tokens(request: GenerationRequest, index: int, prompt: PreparedPrompt, snapshot: Snapshot) -> int:
    """How many tokens each sequence of prompt `index` may generate. Raises ContextLengthExceeded."""
    num_prompt = prompt.num_tokens
    left = _left(request.prompts[index], num_prompt, snapshot)
    wanted = request.max_tokens
    if left >= (1 if wanted is None else wanted):
        return min(left, most_tokens_each(request)) if wanted is None else wanted
    if isinstance(request.prompts[index], ChatPrompt):
        raise _chat_too_long(snapshot.context_length, num_prompt, wanted)
    num_completion = wanted or 0
    raise ContextLengthExceeded(
        f"This model's maximum context length is {snapshot.context_length} tokens, however you requested "
        f"{num_prompt + num_completion} tokens ({num_prompt} in your prompt; {num_completion} for the completion). "
        "Please reduce your prompt; or completion length."
    )


def _left(prompt: Prompt, num_prompt: int, snapshot: Snapshot) -> int:
    """How many tokens a completion may have beside a prompt of `num_prompt` tokens.

    A name that stands in promises the window of OpenAI's model, and programs fill it: they count the prompt with OpenAI's
    tokenizer and ask for all the rest. Other weights often make more tokens of the same text. Where their own window is
    wider than the promised one, it takes what is more, and the promise is held against the fewest tokens that the text
    can be thought to have at OpenAI.
    """
    left = snapshot.context_length - num_prompt
    if snapshot.weights is None or not snapshot.is_stand_in:
        return left
    promised = snapshot.promised_context_length - min(num_prompt, _fewest_tokens(prompt, num_prompt))
    return max(left, min(promised, snapshot.weights.context_length - num_prompt))


def _fewest_tokens(prompt: Prompt, num_prompt: int) -> int:
    if isinstance(prompt, ChatPrompt):
        if prompt.tools is not None or any(message.pictures for message in prompt.messages):
            return num_prompt
        num_bytes = sum(len(message.content.encode()) for message in prompt.messages)
        return _TOKENS_OF_A_MESSAGE * (len(prompt.messages) + 1) + num_bytes // _LONGEST_TOKEN_BYTES
    if prompt.text is None:
        return num_prompt
    return -(-len((prompt.text + (prompt.suffix or "")).encode()) // _LONGEST_TOKEN_BYTES)


def _chat_too_long(context_length: int, num_prompt: int, wanted: int | None) -> ContextLengthExceeded:
    opening = f"This model's maximum context length is {context_length} tokens. However, "
    if wanted is None or num_prompt >= context_length:
        text = f"your messages resulted in {num_prompt} tokens. Please reduce the length of the messages."
    else:
        text = (
            f"you requested {num_prompt + wanted} tokens ({num_prompt} in the messages, {wanted} in the completion). "
            "Please reduce the length of the messages or completion."
        )
    return ContextLengthExceeded(opening + text, param="messages", code="context_length_exceeded")
