"""Images in chat messages: data URLs alone, from users alone; what they hold is looked at where they are decoded."""

from collections.abc import Sequence

from parley.api.explain import wording
from parley.api.openai.schemas.chat import (
    ChatCompletionRequestMessage,
    ChatCompletionRequestMessageContentPart,
    ImageUrl,
)
from parley.api.openai.today import unsupported
from parley.core.errors import InvalidRequest, RequestTooLarge
from parley.core.picture import Detail, PictureSource
from parley.core.template import Role

# What a body may have beside its images; as much as a body without any.
_MOST_TEXT_BYTES = 4 * 1024 * 1024
_FORMATS = "Expected a base64-encoded data URL with an image, such as 'data:image/png;base64,iVBORw0...'"


def to_source(part: ChatCompletionRequestMessageContentPart, role: Role, *, path: str, where: str) -> PictureSource:
    """The image of a part at `where` in the message at `path`. Raises InvalidRequest for an address, among others."""
    check_fields(part, where)
    if part.image_url is None:
        raise wording.missing(f"{where}.image_url")
    if role is not Role.USER:
        raise InvalidRequest(
            f"Invalid '{path}'. Image URLs are only allowed for messages with role 'user', but this message with role "
            f"'{role.value}' contains an image URL.",
            param=path,
            code="invalid_value",
        )
    image = part.image_url
    if not isinstance(image, ImageUrl):
        return PictureSource(
            encoded=_base64(image, f"{where}.image_url"), detail=Detail.AUTO, param=f"{where}.image_url"
        )
    param = f"{where}.image_url.url"
    return PictureSource(encoded=_base64(image.url, param), detail=Detail(image.detail or "auto"), param=param)


def check_fields(part: ChatCompletionRequestMessageContentPart, path: str) -> None:
    """Raise InvalidRequest for fields that belong to parts of another type."""
    for field in ("text", "refusal", "image_url", "input_audio", "file"):
        if field != part.type and getattr(part, field) is not None:
            raise wording.unknown_parameter(f"{path}.{field}")
    if part.prompt_cache_breakpoint is not None:
        raise unsupported(f"{path}.prompt_cache_breakpoint")


def check_text_size(num_bytes: int, messages: Sequence[ChatCompletionRequestMessage]) -> None:
    """Raise RequestTooLarge for a body of `num_bytes` that is large by more than its images."""
    if num_bytes <= _MOST_TEXT_BYTES:
        return
    num_bytes -= sum(
        len(image.url if isinstance(image, ImageUrl) else image)
        for message in messages
        if isinstance(message.content, list)
        for image in (part.image_url for part in message.content)
        if image is not None
    )
    if num_bytes > _MOST_TEXT_BYTES:
        raise RequestTooLarge(
            f"Maximum content size limit ({_MOST_TEXT_BYTES}) exceeded ({num_bytes} bytes read, images not counted)",
            status=413,
        )


def _base64(url: str, param: str) -> str:
    """What stands behind the comma of a data URL."""
    head, comma, encoded = url.partition(",")
    scheme = head[:8].lower()
    if scheme.startswith(("http:", "https:")):
        raise InvalidRequest(
            f"Invalid '{param}': this server fetches nothing from addresses that clients name. {_FORMATS}.",
            param=param,
            code="invalid_image_url",
        )
    media_type, *attributes = head.lower().removeprefix("data:").split(";")
    is_image = scheme.startswith("data:") and comma and media_type.startswith("image/")
    if not is_image or "base64" not in [attribute.strip() for attribute in attributes]:
        raise InvalidRequest(
            f"Invalid '{param}'. {_FORMATS}, but got a value without one.", param=param, code="invalid_image_url"
        )
    return encoded
