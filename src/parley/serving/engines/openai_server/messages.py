"""A conversation in OpenAI's shape, as a server gets it: its words, its calls and its pictures."""

import base64
from collections.abc import Iterator

from parley.core.picture import Detail, PictureSource
from parley.core.requests import ChatMessage, ChatPrompt
from parley.core.template import Role
from parley.serving.engines.openai_server.calls import call_fields

# What a file of each format that we take begins with; a WebP is the RIFF that is left.
_BEGINNINGS = ((b"\x89PNG", "png"), (b"\xff\xd8", "jpeg"), (b"GIF8", "gif"))
_LAST_FORMAT = "webp"


def messages_of(prompt: ChatPrompt) -> list[dict[str, object]]:
    """Older servers do not know `developer`, today's word for `system`."""
    messages: list[dict[str, object]] = []
    for message in prompt.messages:
        role = Role.SYSTEM if message.role is Role.DEVELOPER else message.role
        content = list(_parts(message)) if message.pictures else message.content
        said: dict[str, object] = {"role": role.value, "content": content}
        if message.name is not None and message.role is not Role.FUNCTION:
            said["name"] = message.name
        messages.append(said | call_fields(message))
    return messages


def _parts(message: ChatMessage) -> Iterator[dict[str, object]]:
    start = 0
    for inset in message.pictures:
        if inset.at > start:
            yield {"type": "text", "text": message.content[start : inset.at]}
        yield {"type": "image_url", "image_url": _image(inset.source)}
        start = inset.at
    if start < len(message.content):
        yield {"type": "text", "text": message.content[start:]}


def _image(source: PictureSource) -> dict[str, str]:
    """The file as the client sent it, under the name of what it is; it was decoded here before, so that it is a picture."""
    # Some clients break lines, which not every server takes.
    encoded = "".join(source.encoded.split())
    beginning = base64.b64decode(encoded[:16])
    kind = next((kind for magic, kind in _BEGINNINGS if beginning.startswith(magic)), _LAST_FORMAT)
    image = {"url": f"data:image/{kind};base64,{encoded}"}
    return image if source.detail is Detail.AUTO else image | {"detail": source.detail.value}
