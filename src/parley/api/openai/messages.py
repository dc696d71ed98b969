"""Chat messages from the wire: which fields a role may have, and content parts joined to one text."""

import re
from collections.abc import Sequence

from parley.api.explain import wording
from parley.api.openai.schemas.chat import ChatCompletionRequestMessage, ChatCompletionRequestMessageContentPart
from parley.api.openai.today import unsupported
from parley.core.requests import ChatMessage
from parley.core.template import Role

_NAME_PATTERN = "^[A-Za-z0-9_-]{1,64}$"
_NAME = re.compile("[A-Za-z0-9_-]{1,64}")


def to_messages(messages: Sequence[ChatCompletionRequestMessage]) -> tuple[ChatMessage, ...]:
    """The conversation. Raises InvalidRequest that names the message and the field."""
    return tuple([_to_message(message, f"messages[{index}]") for index, message in enumerate(messages)])


def _to_message(message: ChatCompletionRequestMessage, path: str) -> ChatMessage:
    _refuse_what_is_not_text(message, path)
    _check_fields_of_role(message, path)
    if message.name is not None and not _NAME.fullmatch(message.name):
        raise wording.no_match(f"{path}.name", _NAME_PATTERN)
    return ChatMessage(role=message.role, content=_text(message, path), name=message.name)


def _refuse_what_is_not_text(message: ChatCompletionRequestMessage, path: str) -> None:
    """Clients send our replies back whole: empty fields of them say nothing, filled ones say what we cannot render."""
    for field in ("tool_calls", "function_call", "audio", "annotations"):
        value = getattr(message, field)
        if value is not None and value != []:
            raise unsupported(f"{path}.{field}")


def _check_fields_of_role(message: ChatCompletionRequestMessage, path: str) -> None:
    if message.tool_call_id is not None and message.role is not Role.TOOL:
        raise wording.unknown_parameter(f"{path}.tool_call_id")
    if message.refusal is not None and message.role is not Role.ASSISTANT:
        raise wording.unknown_parameter(f"{path}.refusal")
    if message.role is Role.TOOL and message.tool_call_id is None:
        raise wording.missing(f"{path}.tool_call_id")
    if message.role is Role.FUNCTION and message.name is None:
        raise wording.missing(f"{path}.name")


def _text(message: ChatCompletionRequestMessage, path: str) -> str:
    content = message.content
    if isinstance(content, str):
        return content
    if content is None:
        # An assistant that refused has its refusal in the place of content, and said it to the user.
        if message.refusal is not None:
            return message.refusal
        raise wording.missing(f"{path}.content")
    if not content:
        raise wording.empty_array(f"{path}.content")
    return "".join([_part_text(part, message.role, f"{path}.content[{index}]") for index, part in enumerate(content)])


def _part_text(part: ChatCompletionRequestMessageContentPart, role: Role, path: str) -> str:
    """The text of a part. Raises for parts of other kinds, and for fields of another kind in it."""
    is_refusal = part.type == "refusal" and role is Role.ASSISTANT
    if part.type != "text" and not is_refusal:
        raise unsupported(f"{path}.{part.type}")
    for field in ("text", "refusal", "image_url", "input_audio", "file"):
        if field != part.type and getattr(part, field) is not None:
            raise wording.unknown_parameter(f"{path}.{field}")
    if part.prompt_cache_breakpoint is not None:
        raise unsupported(f"{path}.prompt_cache_breakpoint")
    text = part.refusal if is_refusal else part.text
    if text is None:
        raise wording.missing(f"{path}.{part.type}")
    return text
