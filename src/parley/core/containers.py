"""Audio containers by their first bytes: what a file says of itself decides which reader it gets, its name never does."""

from collections.abc import Callable
from dataclasses import dataclass

# So much of a file's beginning is enough to tell every container. Most have their sign at once; MPEG audio that was cut out of
# the middle of something begins anywhere, with the next whole frame.
HEAD_BYTES = 32 * 1024


@dataclass(frozen=True, slots=True)
class Container:
    """A container that is decoded. `reader` is FFmpeg's name of its demuxer, the only one that is ever tried."""

    name: str
    reader: str


_ID3_BYTES = 10
# Of MPEG-1 audio, layers III and II, and of MPEG-2 audio: kilobits a second and samples a second, as its frames count them.
_BIT_RATES_1 = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_BIT_RATES_1_II = (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384)
_BIT_RATES_2 = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_SAMPLE_RATES = (44_100, 48_000, 32_000)
_CERTAIN_FRAMES = 3
_PACK = b"\x00\x00\x01\xba"

MP3 = Container("mp3", "mp3")
WAV = Container("wav", "wav")
FLAC = Container("flac", "flac")
OGG = Container("ogg", "ogg")
WEBM = Container("webm", "matroska")
MP4 = Container("mp4", "mov")
MPEG = Container("mpeg", "mpeg")
AAC = Container("aac", "aac")


def container_of(head: bytes) -> Container | None:
    """The container that begins with these bytes (HEAD_BYTES of them, or the whole file); None for any other file.

    What follows a tag (`tag_bytes`) is asked for by itself.
    """
    signed = next((container for container, begins in _SIGNS if begins(head)), None)
    if signed is None and _has_mpeg_frames(head):
        return MP3
    return MPEG if signed is None and _has_mpeg_pack(head) else signed


def tag_bytes(head: bytes) -> int:
    """How long the ID3 tag is that a file begins with, 0 where there is none. Music programs put one before any sound."""
    if len(head) < _ID3_BYTES or not head.startswith(b"ID3") or max(head[6:_ID3_BYTES]) > 127:
        return 0
    length = 0
    for byte in head[6:_ID3_BYTES]:
        # Seven bits in each byte.
        length = length << 7 | byte
    has_footer = head[5] & 0x10
    return _ID3_BYTES + length + (_ID3_BYTES if has_footer else 0)


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


def _has_mpeg_frames(head: bytes) -> bool:
    """Whether three frames of MPEG audio follow each other somewhere: chance and text do not do that."""
    place = head.find(0xFF)
    while place != -1:
        end, num_frames = place, 0
        while num_frames < _CERTAIN_FRAMES and (length := _mpeg_frame_bytes(head[end : end + 4])):
            end, num_frames = end + length, num_frames + 1
        if num_frames == _CERTAIN_FRAMES:
            return True
        place = head.find(0xFF, place + 1)
    return False


def _mpeg_frame_bytes(head: bytes) -> int:
    """How long a frame is, by its four first bytes; 0 where it is none."""
    if not _is_mpeg_audio(head):
        return 0
    is_layer_ii = head[1] >> 1 & 3 == 2
    version, bit_rate, sample_rate = head[1] >> 3 & 3, head[2] >> 4, head[2] >> 2 & 3
    if not bit_rate:
        return 0
    is_first = version == 3
    first_rates = _BIT_RATES_1_II if is_layer_ii else _BIT_RATES_1
    kilobits = (first_rates if is_first else _BIT_RATES_2)[bit_rate - 1]
    hertz = _SAMPLE_RATES[sample_rate] >> {3: 0, 2: 1, 0: 2}[version]
    return (144_000 if is_first or is_layer_ii else 72_000) * kilobits // hertz + (head[2] >> 1 & 1)


def _has_mpeg_pack(head: bytes) -> bool:
    """Whether a pack of an MPEG stream begins somewhere: its sign, and the bits that both versions have behind it."""
    place = head.find(_PACK)
    while place != -1:
        behind = head[place + len(_PACK) : place + len(_PACK) + 1]
        if behind and (behind[0] & 0xF0 == 0x20 or behind[0] & 0xC4 == 0x44):
            return True
        place = head.find(_PACK, place + 1)
    return False


def _is_aac(head: bytes) -> bool:
    """An ADTS frame: sync of twelve bits, layer zero."""
    return len(head) >= 2 and head[0] == 0xFF and head[1] & 0xF6 == 0xF0


_SIGNS: tuple[tuple[Container, Callable[[bytes], bool]], ...] = (
    (FLAC, lambda head: head.startswith(b"fLaC")),
    (OGG, lambda head: head.startswith(b"OggS")),
    (WEBM, lambda head: head.startswith(b"\x1a\x45\xdf\xa3")),
    (WAV, _is_wav),
    (MP4, _is_mp4),
    (MPEG, lambda head: head.startswith(_PACK)),
    (MP3, lambda head: head.startswith(b"ID3")),
    (AAC, _is_aac),
    (MP3, _is_mpeg_audio),
)
