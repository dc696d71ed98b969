"""Form bodies with a file: counted and written away while they come, in a form's own limits."""

import asyncio
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass

import multipart  # type: ignore[import-untyped] # it brings no types
from starlette.requests import Request

from parley.api.explain import wording
from parley.core.errors import InvalidRequest, RequestTooLarge
from parley.core.speech import Recording
from parley.infra.uploads import Upload, Uploads

MEDIA_TYPE = "multipart/form-data"
FILE_FIELD = "file"
_MAX_PARTS = 16
_MAX_FIELD_BYTES = 64 * 1024
_MAX_HEAD_BYTES = 8 * 1024
_MAX_BOUNDARY = 70
# So much of a body is held back for its end: the parser refuses what comes after the last boundary, but a line break may come in a
# packet of its own. What stands behind that boundary may be so long.
_MAX_EPILOGUE_BYTES = 1024
# So much of a file is written at a time, off the loop.
_WRITTEN_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """What came: the fields in their order, as text, and the file. What the file was called is nobody's business."""

    fields: tuple[tuple[str, str], ...]
    recording: Recording | None


class FormReader:
    """Reads the forms of an endpoint that takes one file, in the field `file`."""

    def __init__(self, uploads: Uploads, *, max_file_bytes: int) -> None:
        self._uploads = uploads
        self._max_file_bytes = max_file_bytes

    async def read(self, http: Request, uploaded: ExitStack) -> Form:
        """The form. `uploaded` removes the file when it is closed, also where this raises InvalidRequest, RequestTooLarge or Overloaded."""
        reading = _Reading(self._uploads, uploaded, max_file_bytes=self._max_file_bytes)
        try:
            with _parser(http.headers.get("content-type")) as parser:
                held = b""
                async for chunk in http.stream():
                    came = held + chunk
                    held = came[-_MAX_EPILOGUE_BYTES:]
                    if len(came) > len(held):
                        reading.take_all(parser.parse(came[: -len(held)]))
                        await reading.write(at_least=_WRITTEN_BYTES)
                reading.take_all(parser.parse(held))
        except multipart.MultipartError as error:
            raise InvalidRequest(
                "We could not parse the form in the body of your request. (HINT: This likely means you aren't using your "
                f"HTTP library correctly. What is wrong with it: {error}.)"
            ) from None
        await reading.write(at_least=1)
        return await asyncio.to_thread(reading.finish)


class _Reading:
    """A form while it comes."""

    def __init__(self, uploads: Uploads, uploaded: ExitStack, *, max_file_bytes: int) -> None:
        self._uploads = uploads
        self._uploaded = uploaded
        self._max_file_bytes = max_file_bytes
        self._fields: list[tuple[str, str]] = []
        self._upload: Upload | None = None
        self._num_file_bytes = 0
        # The part that comes now.
        self._name = ""
        self._is_file = False
        # What is to be written of the file, and the field that comes.
        self._held = bytearray()
        self._field = bytearray()

    def take_all(self, events: Iterable[multipart.MultipartSegment | bytearray | bytes | None]) -> None:
        """The parser's events: a part's head, pieces of its body, and (None) its end."""
        for event in events:
            self._take(event)

    def _take(self, event: multipart.MultipartSegment | bytearray | bytes | None) -> None:
        if isinstance(event, multipart.MultipartSegment):
            self._begin(event)
        elif event is not None:
            (self._held if self._is_file else self._field).extend(event)
            self._count(len(event))
        elif not self._is_file:
            self._end_field()

    def _begin(self, part: multipart.MultipartSegment) -> None:
        self._name = part.name or ""
        self._is_file = self._name == FILE_FIELD
        if self._is_file:
            if self._upload is not None:
                raise InvalidRequest(
                    "Invalid 'file': one file can be sent at a time.", param="file", code="invalid_value"
                )
            self._upload = self._uploads.begin()
            self._uploaded.callback(self._upload.close)
        elif part.filename is not None:
            raise wording.unknown_arguments([self._name])

    def _count(self, num_bytes: int) -> None:
        if self._is_file:
            self._num_file_bytes += num_bytes
            most = self._max_file_bytes
            if self._num_file_bytes > most:
                raise RequestTooLarge(
                    f"Maximum content size limit ({most}) exceeded ({self._num_file_bytes} bytes read)", status=413
                )
        elif len(self._field) > _MAX_FIELD_BYTES:
            raise wording.string_too_long(self._name, most=_MAX_FIELD_BYTES, length=len(self._field))

    def _end_field(self) -> None:
        try:
            text = self._field.decode()
        except UnicodeDecodeError:
            raise InvalidRequest(
                f"Invalid '{wording.shown(self._name)}': it is not UTF-8.", param=self._name, code="invalid_value"
            ) from None
        self._fields.append((self._name, text))
        self._field.clear()

    async def write(self, *, at_least: int) -> None:
        """Write away what is held of the file, where it is so much."""
        if self._upload is not None and len(self._held) >= at_least:
            held, self._held = bytes(self._held), bytearray()
            await asyncio.to_thread(self._upload.write, held)

    def finish(self) -> Form:
        """The whole form."""
        recording = None if self._upload is None else self._upload.finish()
        return Form(fields=tuple(self._fields), recording=recording)


def between_boundaries(content_type: str | None, body: bytes) -> list[bytes]:
    """A form's body without its boundary, which is another one whenever the form is sent; any other body as it is."""
    media_type, options = multipart.parse_options_header(content_type or "")
    boundary = options.get("boundary", "")
    return body.split(f"--{boundary}".encode()) if media_type == MEDIA_TYPE and boundary else [body]


def _parser(content_type: str | None) -> multipart.PushMultipartParser:
    media_type, options = multipart.parse_options_header(content_type or "")
    if media_type != MEDIA_TYPE:
        raise wording.unsupported_content_type(media_type, content_type or "", accepted=MEDIA_TYPE)
    boundary = options.get("boundary", "")
    if not 0 < len(boundary) <= _MAX_BOUNDARY or not boundary.isascii():
        raise InvalidRequest(
            f"The Content-Type of a form must name its boundary, of {_MAX_BOUNDARY} characters at most."
        )
    # Names of files may be in any coding; nothing reads them.
    return multipart.PushMultipartParser(
        boundary,
        max_header_size=_MAX_HEAD_BYTES,
        max_segment_count=_MAX_PARTS,
        header_charset="latin-1",
        strict=True,
    )
