"""Audio containers by their first bytes: what a file says of itself decides which reader it gets, its name never does."""

from collections.abc import Callable
from dataclasses import dataclass

# So much of a file's beginning is enough to tell every container.
HEAD_BYTES = 64


@dataclass(frozen=True, slots=True)
class Container:
    """A container that is decoded. `reader` is FFmpeg's name of its demuxer, the only one that is ever tried."""

    name: str
    reader: str


MP3 = Container("mp3", "mp3")
WAV = Container("wav", "wav")
FLAC = Container("flac", "flac")
OGG = Container("ogg", "ogg")
WEBM = Container("webm", "matroska")
MP4 = Container("mp4", "mov")
MPEG = Container("mpeg", "mpeg")
AAC = Container("aac", "aac")


def container_of(head: bytes) -> Container | None:
    """The container that begins with these bytes (HEAD_BYTES of them, or the whole file); None for any other file."""
    return next((container for container, begins in _SIGNS if begins(head)), None)


def _is_wav(head: bytes) -> bool:
    return head[:4] in (b"RIFF", b"RF64") and head[8:12] == b"WAVE"


def _is_mp4(head: bytes) -> bool:
    return head[4:8] in (b"ftyp", b"moov", b"mdat", b"free", b"wide")


def _is_mpeg_audio(head: bytes) -> bool:
    """A frame of MPEG audio: sync, a known version, layer III or II, and neither bit rate nor sample rate impossible."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return False
    version, layer = head[1] >> 3 & 3, head[1] >> 1 & 3
    return version != 1 and layer in (1, 2) and head[2] >> 4 != 15 and head[2] >> 2 & 3 != 3


def _is_aac(head: bytes) -> bool:
    """An ADTS frame: sync of twelve bits, layer zero."""
    return len(head) >= 2 and head[0] == 0xFF and head[1] & 0xF6 == 0xF0


_SIGNS: tuple[tuple[Container, Callable[[bytes], bool]], ...] = (
    (FLAC, lambda head: head.startswith(b"fLaC")),
    (OGG, lambda head: head.startswith(b"OggS")),
    (WEBM, lambda head: head.startswith(b"\x1a\x45\xdf\xa3")),
    (WAV, _is_wav),
    (MP4, _is_mp4),
    (MPEG, lambda head: head.startswith(b"\x00\x00\x01\xba")),
    (MP3, lambda head: head.startswith(b"ID3")),
    (AAC, _is_aac),
    (MP3, _is_mpeg_audio),
)
