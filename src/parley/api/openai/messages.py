"""Chat messages from the wire: which fields a role may have, and content parts made one text with pictures in it."""

from collections.abc import Sequence

from parley.api.explain import wording
from parley.api.openai.images import check_fields, to_source
from parley.api.openai.schemas.chat import ChatCompletionRequestMessage, ChatCompletionRequestMessageContentPart
from parley.api.openai.schemas.tools import CalledFunction, ChatCompletionMessageToolCall
from parley.api.openai.today import unsupported
from parley.api.openai.tools import check_name
from parley.core.requests import ChatMessage, Inset, ToolCall
from parley.core.template import Role


def to_messages(messages: Sequence[ChatCompletionRequestMessage]) -> tuple[ChatMessage, ...]:
    """The conversation. Raises InvalidRequest that names the message and the field."""
    return tuple([_to_message(message, f"messages[{index}]") for index, message in enumerate(messages)])


def _to_message(message: ChatCompletionRequestMessage, path: str) -> ChatMessage:
    _refuse_what_is_not_text(message, path)
    _check_fields_of_role(message, path)
    if message.name is not None:
        check_name(message.name, f"{path}.name")
    text, insets = _content(message, path)
    return ChatMessage(
        role=message.role,
        content=text,
        name=message.name,
        calls=_calls(message, path),
        call_id=message.tool_call_id,
        pictures=insets,
    )


def _refuse_what_is_not_text(message: ChatCompletionRequestMessage, path: str) -> None:
    """Clients send our replies back whole: empty fields of them say nothing, filled ones say what we cannot render."""
    for field in ("audio", "annotations"):
        value = getattr(message, field)
        if value is not None and value != []:
            raise unsupported(f"{path}.{field}")


def _check_fields_of_role(message: ChatCompletionRequestMessage, path: str) -> None:
    if message.tool_call_id is not None and message.role is not Role.TOOL:
        raise wording.unknown_parameter(f"{path}.tool_call_id")
    if message.refusal is not None and message.role is not Role.ASSISTANT:
        raise wording.unknown_parameter(f"{path}.refusal")
    for field in ("tool_calls", "function_call"):
        if getattr(message, field) and message.role is not Role.ASSISTANT:
            raise wording.unknown_parameter(f"{path}.{field}")
    if message.role is Role.TOOL and message.tool_call_id is None:
        raise wording.missing(f"{path}.tool_call_id")
    if message.role is Role.FUNCTION and message.name is None:
        raise wording.missing(f"{path}.name")


def _content(message: ChatCompletionRequestMessage, path: str) -> tuple[str, tuple[Inset, ...]]:
    """A message's text, and where pictures stand in it."""
    content = message.content
    if isinstance(content, str):
        return content, ()
    if content is None:
        # An assistant that refused has its refusal in the place of content, and said it to the user.
        if message.refusal is not None:
            return message.refusal, ()
        if message.tool_calls or message.function_call is not None:
            return "", ()
        raise wording.missing(f"{path}.content")
    if not content:
        raise wording.empty_array(f"{path}.content")
    texts: list[str] = []
    insets: list[Inset] = []
    at = 0
    for index, part in enumerate(content):
        where = f"{path}.content[{index}]"
        if part.type == "image_url":
            insets.append(Inset(at, to_source(part, message.role, path=path, where=where)))
            continue
        text = _part_text(part, message.role, where)
        texts.append(text)
        at += len(text)
    return "".join(texts), tuple(insets)


def _calls(message: ChatCompletionRequestMessage, path: str) -> tuple[ToolCall, ...]:
    calls: list[tuple[CalledFunction, str, str | None]] = [
        (*_called(call, f"{path}.tool_calls[{index}]"), call.id) for index, call in enumerate(message.tool_calls or ())
    ]
    if message.function_call is not None:
        calls.append((message.function_call, f"{path}.function_call", None))
    for function, where, _ in calls:
        check_name(function.name, f"{where}.name")
    return tuple([ToolCall(name=each.name, arguments=each.arguments, call_id=call_id) for each, _, call_id in calls])


def _called(call: ChatCompletionMessageToolCall, path: str) -> tuple[CalledFunction, str]:
    if call.type != "function" or call.custom is not None:
        raise unsupported(f"{path}.custom")
    if call.function is None:
        raise wording.missing(f"{path}.function")
    return call.function, f"{path}.function"


def _part_text(part: ChatCompletionRequestMessageContentPart, role: Role, path: str) -> str:
    """The text of a part. Raises for parts of other kinds, and for fields of another kind in it."""
    is_refusal = part.type == "refusal" and role is Role.ASSISTANT
    if part.type != "text" and not is_refusal:
        raise unsupported(f"{path}.{part.type}")
    check_fields(part, path)
    text = part.refusal if is_refusal else part.text
    if text is None:
        raise wording.missing(f"{path}.{part.type}")
    return text
