"""Messages to segments: the template's scaffolding may promote special tokens, what people wrote never may."""

from collections.abc import Sequence

from parley.core.requests import ChatMessage
from parley.core.template import ChatTemplate, Role
from parley.core.tokenizer import Segment

# Where a template has no frame of its own for a role, the nearest that it has.
_STAND_INS = {Role.DEVELOPER: Role.SYSTEM, Role.FUNCTION: Role.TOOL, Role.TOOL: Role.USER}


def render(template: ChatTemplate, messages: Sequence[ChatMessage]) -> list[Segment]:
    """The prompt of a conversation, up to and including the scaffolding that opens the assistant's answer.

    A message's name is content: it is written before the text as `name: `, since none of these templates has a place
    for it.
    """
    segments = [Segment(template.opening, is_control=True)] if template.opening else []
    for message in _place_system(template, messages):
        frame = template.frames[_frame_role(template, message.role)]
        if frame.before:
            segments.append(Segment(frame.before, is_control=True))
        text = _text(message)
        if text:
            segments.append(Segment(text, is_control=False))
        if frame.after:
            segments.append(Segment(frame.after, is_control=True))
    if template.generation:
        segments.append(Segment(template.generation, is_control=True))
    return segments


def _text(message: ChatMessage) -> str:
    return f"{message.name}: {message.content}" if message.name else message.content


def _frame_role(template: ChatTemplate, role: Role) -> Role:
    while role not in template.frames:
        role = _STAND_INS[role]
    return role


def _place_system(template: ChatTemplate, messages: Sequence[ChatMessage]) -> Sequence[ChatMessage]:
    """The messages with system texts moved before the first user turn, for a template without a system role."""
    if template.system_placement == "role":
        return messages
    is_system = [message.role in (Role.SYSTEM, Role.DEVELOPER) for message in messages]
    system = "\n\n".join(_text(m) for m, yes in zip(messages, is_system, strict=True) if yes)
    rest = [m for m, yes in zip(messages, is_system, strict=True) if not yes]
    if not system:
        return rest
    for position, message in enumerate(rest):
        if message.role is Role.USER:
            merged = ChatMessage(role=Role.USER, content=f"{system}\n\n{_text(message)}")
            return [*rest[:position], merged, *rest[position + 1 :]]
    return [ChatMessage(role=Role.USER, content=system), *rest]
