"""Pictures that clients send: decoded in a confined worker, bounded in number, size and memory."""

import weakref
from collections.abc import Sequence
from dataclasses import dataclass

from parley.core.errors import EngineFailed, InvalidRequest, Overloaded
from parley.core.picture import LONGEST_SHORT_SIDE, LONGEST_SIDE, Detail, Picture, PictureSource
from parley.infra.dialogue import Refused
from parley.infra.on_call import OnCallWorker, Turns
from parley.infra.sandbox import Limits, WorkerFailed

_LIMITS = Limits(address_space_bytes=1 << 30, num_files=64)
# The worker ends itself after ten seconds of processor time; on a busy machine they may take longer.
_DECODE_SECONDS = 30.0
_MAX_WAITING = 256
_OVERLOADED = "The server is overloaded: too many images are waiting to be decoded."
_BOX = (LONGEST_SIDE, LONGEST_SHORT_SIDE)
_BOXES = {Detail.LOW: (512, 512), Detail.HIGH: _BOX, Detail.AUTO: _BOX}


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureLimits:
    """`max_pixels` are those of a file; `memory_bytes` is what all decoded pictures of all requests may take together."""

    max_pictures: int = 10
    max_pixels: int = 20_000_000
    memory_bytes: int = 512 << 20


class PictureReader:
    """Decodes pictures, one after another; they count against the memory for as long as anybody has them."""

    def __init__(self, limits: PictureLimits = PictureLimits()) -> None:
        self._limits = limits
        self._num_bytes = 0
        self._turns = Turns(_MAX_WAITING, _OVERLOADED)
        self._worker = OnCallWorker("parley.workers.pictures", limits=_LIMITS)

    @property
    def pid(self) -> int | None:
        """The worker's process id; None while there is none."""
        return self._worker.pid

    @property
    def num_bytes(self) -> int:
        """What the decoded pictures that somebody still has take."""
        return self._num_bytes

    async def read(self, sources: Sequence[PictureSource]) -> list[Picture]:
        """The pictures, in order. Raises InvalidRequest for what is none, or too many or too large, Overloaded."""
        if len(sources) > self._limits.max_pictures:
            raise InvalidRequest(
                f"Too many images in the request. This server takes at most {self._limits.max_pictures}; "
                f"you sent {len(sources)}.",
                param="messages",
                code="too_many_images",
            )
        return [await self._read_one(source) for source in sources]

    async def aclose(self) -> None:
        """End the worker. May be called any number of times; another picture starts it again."""
        await self._worker.aclose()

    async def _read_one(self, source: PictureSource) -> Picture:
        encoded = source.encoded.encode()
        question = {"op": "decode", "most_pixels": self._limits.max_pixels, "box": _BOXES[source.detail]}
        async with self._turns.taken():
            if self._num_bytes >= self._limits.memory_bytes:
                raise Overloaded(
                    "The server is overloaded: too many images are being worked on. Please retry after a moment."
                )
            try:
                answer, pixels = await self._worker.ask(question, encoded, seconds=_DECODE_SECONDS)
            except Refused as reason:
                raise self._refusal(str(reason), source) from None
            except WorkerFailed:
                # It met a limit, or was ended by what it read. Nothing else was asked of it.
                raise self._refusal("format", source) from None
            except TimeoutError:
                # Whatever held it up, it was not work on the picture: that would have ended it.
                raise Overloaded("The server is overloaded: the image could not be decoded in time.") from None
        return self._counted(answer.get("width"), answer.get("height"), pixels)

    def _counted(self, width: object, height: object, pixels: bytes) -> Picture:
        if not isinstance(width, int) or not isinstance(height, int):
            raise EngineFailed("the picture worker decoded nothing")
        picture = Picture(width=width, height=height, pixels=pixels)
        self._num_bytes += len(pixels)
        # Requests hand their pictures on to prompts, rounds and messages: whoever was last gives the memory back.
        weakref.finalize(picture, self._give_back, len(pixels))
        return picture

    def _give_back(self, num_bytes: int) -> None:
        self._num_bytes -= num_bytes

    def _refusal(self, reason: str, source: PictureSource) -> InvalidRequest:
        match reason:
            case "base64":
                return InvalidRequest(
                    f"Invalid '{source.param}': the data of the URL is not base64.",
                    param=source.param,
                    code="invalid_base64",
                )
            case "pixels":
                return InvalidRequest(
                    f"Invalid '{source.param}': the image has too many pixels. Expected at most "
                    f"{self._limits.max_pixels:,}, and 16,384 on a side.",
                    param=source.param,
                    code="invalid_image_size",
                )
            case _:
                return InvalidRequest(
                    "You uploaded an unsupported image. Please make sure your image has of one the following formats: "
                    "['png', 'jpeg', 'gif', 'webp'].",
                    param=source.param,
                    code="invalid_image_format",
                )
