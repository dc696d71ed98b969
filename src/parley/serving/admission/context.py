"""Does it fit the window? How many tokens each prompt's sequences may generate, or the refusal."""

from parley.core.errors import ContextLengthExceeded
from parley.core.grant import PreparedPrompt
from parley.core.requests import ChatPrompt, GenerationRequest
from parley.core.snapshot import Snapshot
from parley.serving.admission.volume import most_tokens_each


def resolve_max_tokens(request: GenerationRequest, index: int, prompt: PreparedPrompt, snapshot: Snapshot) -> int:
    """How many tokens each sequence of prompt `index` may generate. Raises ContextLengthExceeded."""
    num_prompt = prompt.num_tokens
    left = snapshot.context_length - num_prompt
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
