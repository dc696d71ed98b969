"""The picture worker: decodes what clients send as pictures. Nothing else opens such a file.

    python -m parley.workers.confine '<limits>' parley.workers.pictures

A question (raw: the file in base64) says how many pixels it may have, and into which box the picture is to be shrunk; the
answer is its size and its pixels (raw), or a `refused`. A file that takes too much time or memory ends this process, which
is the answer.
"""

import base64
import binascii
import io
import resource
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

# The plugins by name: a format that is not imported cannot be read.
from PIL import (
    GifImagePlugin,
    Image,
    ImageOps,
    JpegImagePlugin,
    PngImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)

from parley.core.channel import Header
from parley.workers.voice import Voice

_FORMATS = tuple(
    reader.format
    for reader in (
        PngImagePlugin.PngImageFile,
        JpegImagePlugin.JpegImageFile,
        GifImagePlugin.GifImageFile,
        WebPImagePlugin.WebPImageFile,
    )
)
_CPU_SECONDS = 10
_MOST_SIDE = 16_384
# Thinner pictures are widened by their edge's black: projectors divide by what a side has of their patches.
_LEAST_SIDE = 8
_MOST_RATIO = 64


class Refused(Exception):
    """The file is no picture that we take; the message is the reason, by a word."""


def decode(encoded: bytes, *, most_pixels: int, box: tuple[int, int]) -> Image.Image:
    """The first frame, upright, in 8 bits of red, green and blue, shrunk into `box` (long side, short side). Raises Refused."""
    try:
        # Some encoders break lines.
        content = base64.b64decode(encoded.translate(None, b" \t\r\n"), validate=True)
    except (binascii.Error, ValueError):
        raise Refused("base64") from None
    try:
        with _unwarned(), Image.open(io.BytesIO(content), formats=_FORMATS) as opened:
            # The header alone was read by now.
            width, height = opened.size
            if width * height > most_pixels or max(width, height) > _MOST_SIDE:
                raise Refused("pixels")
            # A JPEG can be decoded at a part of its size.
            opened.draft("RGB", _fitting(width, height, box))
            picture = ImageOps.exif_transpose(opened)
            return _widened(_shrunk(_flat(picture), box))
    except Image.DecompressionBombError:
        # Pillow's own bound, which is above ours.
        raise Refused("pixels") from None
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, EOFError, IndexError, TypeError, KeyError):
        # What Pillow's readers raise for files that are cut, or lie about themselves.
        raise Refused("format") from None


@contextmanager
def _unwarned() -> Iterator[None]:
    """Without Pillow's words about large pictures: our own bound is lower."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        yield


def _flat(picture: Image.Image) -> Image.Image:
    """In red, green and blue; what shows through is seen on white."""
    if picture.mode == "RGB":
        return picture
    if picture.mode.startswith("I;16") or picture.mode in {"I", "F"}:
        # 16 bits: the upper eight count. Pillow itself would cut everything above 255.
        return picture.convert("F").point(lambda value: value / 256).convert("L").convert("RGB")
    if picture.has_transparency_data:
        seen = picture.convert("RGBA")
        paper = Image.new("RGBA", seen.size, "white")
        return Image.alpha_composite(paper, seen).convert("RGB")
    return picture.convert("RGB")


def _fitting(width: int, height: int, box: tuple[int, int]) -> tuple[int, int]:
    """The size at which a picture fits into a box of a long and a short side, upright or lying; it is never enlarged."""
    long, short = max(width, height), min(width, height)
    scale = min(1.0, box[0] / long, box[1] / short)
    return max(1, round(width * scale)), max(1, round(height * scale))


def _shrunk(picture: Image.Image, box: tuple[int, int]) -> Image.Image:
    size = _fitting(*picture.size, box)
    return picture if size == picture.size else picture.resize(size, Image.Resampling.BICUBIC, reducing_gap=3.0)


def _widened(picture: Image.Image) -> Image.Image:
    least = max(_LEAST_SIDE, -(-max(picture.size) // _MOST_RATIO))
    size = max(picture.width, least), max(picture.height, least)
    return picture if size == picture.size else ImageOps.pad(picture, size, color="black")


def _answer(question: Header, raw: bytes) -> tuple[Header, bytes]:
    box = question["box"]
    if not isinstance(box, list):
        raise TypeError("box")
    try:
        picture = decode(raw, most_pixels=int(str(question["most_pixels"])), box=(int(box[0]), int(box[1])))
    except Refused as reason:
        return {"id": question["id"], "refused": str(reason)}, b""
    return {"id": question["id"], "width": picture.width, "height": picture.height}, picture.tobytes()


def main() -> None:
    voice = Voice()
    voice.say({"event": "ready"})
    voice.listen()
    while (asked := voice.next_question()) is not None:
        # Processor time is counted over the whole life of a process; each question gets its own share.
        used = resource.getrusage(resource.RUSAGE_SELF)
        allowed = int(used.ru_utime + used.ru_stime) + 1 + _CPU_SECONDS
        resource.setrlimit(resource.RLIMIT_CPU, (allowed, resource.getrlimit(resource.RLIMIT_CPU)[1]))
        voice.say(*_answer(*asked))


if __name__ == "__main__":
    main()
