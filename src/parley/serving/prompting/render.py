"""Messages to segments: the template's scaffolding may promote special tokens, what people wrote never may."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from msgspec.structs import replace

from parley.core.picture import PictureSource
from parley.core.requests import ChatMessage, ChatPrompt, Function, Inset
from parley.core.template import ChatTemplate, Listing, Role, ToolFormat, ToolPlace
from parley.core.tokenizer import Segment
from parley.serving.prompting import tool_text

# Where a template has no frame of its own for a role, the nearest that it has.
_STAND_INS = {Role.DEVELOPER: Role.SYSTEM, Role.FUNCTION: Role.TOOL, Role.TOOL: Role.USER}
_SYSTEM_ROLES = (Role.SYSTEM, Role.DEVELOPER)
_RESULT_ROLES = (Role.TOOL, Role.FUNCTION)
_BEFORE_USER = (ToolPlace.BEFORE_FIRST_USER, ToolPlace.BEFORE_LAST_USER)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Block:
    """Declared tools, and the message at which they stand."""

    functions: tuple[Function, ...]
    place: ToolPlace
    at: int


# A prompt is made of texts and of pictures.
Piece = Segment | PictureSource


def render(template: ChatTemplate, prompt: ChatPrompt) -> list[Piece]:
    """The prompt of a conversation, up to and including the scaffolding that opens the assistant's answer.

    Pictures stand where their message has them.

    A message's name is content: it is written before the text as `name: `, since none of these templates has a place
    for it. Tools are left out where the template has no form for them.
    """
    messages = _place_system(template, _without_thoughts(template, prompt.messages))
    messages, block = _place_tools(template, prompt, messages)
    segments: list[Piece] = [_control(template.opening)]
    for is_result, group in groupby(enumerate(messages), lambda each: _is_framed_result(template, each[1])):
        turns = list(group)
        if is_result and template.tools is not None:
            results = [tool_text.result(message, template.tools) for _, message in turns]
            segments += _listed(template.tools.results, results)
            continue
        for index, message in turns:
            segments += _turn(template, message, block if block is not None and block.at == index else None)
    return _joined([*segments, _control(template.generation)])


def _turn(template: ChatTemplate, message: ChatMessage, block: _Block | None) -> Iterator[Piece]:
    frame = template.frames[_frame_role(template, message.role)]
    declared = [] if block is None or template.tools is None else list(_declared(template.tools, block.functions))
    place = None if block is None else block.place
    if place in _BEFORE_USER:
        yield from declared
    text, before = _text(message), frame.before
    if message.role is Role.ASSISTANT and before.endswith(" "):
        # The space before an answer's first word comes with that word; a call has none.
        text = text.removeprefix(" ")
        before = before if text or not message.calls else before.removesuffix(" ")
    yield _control(before)
    if place is ToolPlace.FIRST_USER:
        yield from declared
    yield from _content(text, _insets(message))
    if place is ToolPlace.SYSTEM_END:
        yield _control("\n\n" if text else "")
        yield from declared
    if message.calls and template.tools is not None:
        yield _control(template.tools.after_text if text else "")
        yield from _listed(template.tools.calls, [tool_text.call(each, template.tools) for each in message.calls])
    yield _control(frame.after)


def _declared(form: ToolFormat, functions: Sequence[Function]) -> list[Segment]:
    return _listed(form.declarations, [tool_text.declaration(function, form) for function in functions])


def _listed(listing: Listing, things: Sequence[Sequence[Segment]]) -> list[Segment]:
    """Things in the scaffolding of their listing."""
    segments = [_control(listing.all.before)]
    for index, thing in enumerate(things):
        segments.append(_control((listing.between if index else "") + listing.each.before))
        segments += [*thing, _control(listing.each.after)]
    return [*segments, _control(listing.all.after)]


def _joined(pieces: Sequence[Piece]) -> list[Piece]:
    """Without empty segments, and with scaffolding in one piece where nothing stands between."""
    joined: list[Piece] = []
    scaffolding = ""
    for piece in pieces:
        if isinstance(piece, Segment):
            if piece.is_control:
                scaffolding += piece.text
                continue
            if not piece.text:
                continue
        if scaffolding:
            joined.append(_control(scaffolding))
            scaffolding = ""
        joined.append(piece)
    if scaffolding:
        joined.append(_control(scaffolding))
    return joined


def _control(text: str) -> Segment:
    return Segment(text, is_control=True)


def _text(message: ChatMessage) -> str:
    return _naming(message) + message.content


def _naming(message: ChatMessage) -> str:
    return f"{message.name}: " if message.name else ""


def _insets(message: ChatMessage) -> tuple[Inset, ...]:
    """The message's pictures, by their places in its text with the name before it."""
    return _moved(message.pictures, len(_naming(message)))


def _moved(insets: Sequence[Inset], by: int) -> tuple[Inset, ...]:
    return tuple(Inset(inset.at + by, inset.source) for inset in insets)


def _content(text: str, insets: Sequence[Inset]) -> Iterator[Piece]:
    """A text, which is content, with the pictures between its parts."""
    start = 0
    for inset in insets:
        yield Segment(text[start : inset.at], is_control=False)
        yield inset.source
        start = inset.at
    yield Segment(text[start:], is_control=False)


def _frame_role(template: ChatTemplate, role: Role) -> Role:
    while role not in template.frames:
        role = _STAND_INS[role]
    return role


def _is_framed_result(template: ChatTemplate, message: ChatMessage) -> bool:
    return template.tools is not None and message.role in _RESULT_ROLES


def _without_thoughts(template: ChatTemplate, messages: Sequence[ChatMessage]) -> Sequence[ChatMessage]:
    """Without what the assistant only thought before the last user turn, as the family's models were taught."""
    thought = template.thought
    if thought is None:
        return messages
    last = max((index for index, message in enumerate(messages) if message.role is Role.USER), default=0)
    return [
        replace(message, content=message.content.rpartition(thought.after)[2].lstrip("\n"))
        if index < last and message.role is Role.ASSISTANT and thought.after in message.content
        else message
        for index, message in enumerate(messages)
    ]


def _place_tools(
    template: ChatTemplate, prompt: ChatPrompt, messages: Sequence[ChatMessage]
) -> tuple[Sequence[ChatMessage], _Block | None]:
    """The messages and the one that tools stand at; a turn is made for them where the conversation has none."""
    if prompt.tools is None or template.tools is None:
        return messages, None
    place = template.tools.place
    roles = _SYSTEM_ROLES if place is ToolPlace.SYSTEM_END else (Role.USER,)
    fitting = [index for index, message in enumerate(messages) if message.role in roles]
    if not fitting:
        messages, fitting = [ChatMessage(role=roles[0], content=""), *messages], [0]
    at = fitting[-1] if place is ToolPlace.BEFORE_LAST_USER else fitting[0]
    return messages, _Block(functions=prompt.tools.functions, place=place, at=at)


def _place_system(template: ChatTemplate, messages: Sequence[ChatMessage]) -> Sequence[ChatMessage]:
    """The messages with system texts moved before the first user turn, for a template without a system role."""
    if template.system_placement == "role":
        return messages
    system = "\n\n".join(_text(message) for message in messages if message.role in _SYSTEM_ROLES)
    rest = [message for message in messages if message.role not in _SYSTEM_ROLES]
    if not system:
        return rest
    for position, message in enumerate(rest):
        if message.role is Role.USER:
            before = f"{system}\n\n"
            pictures = _moved(_insets(message), len(before))
            merged = replace(message, content=before + _text(message), name=None, pictures=pictures)
            return [*rest[:position], merged, *rest[position + 1 :]]
    return [ChatMessage(role=Role.USER, content=system), *rest]
