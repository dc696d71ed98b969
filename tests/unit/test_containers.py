"""What a file's first bytes say it is."""

import pytest

from parley.core.containers import container_of, tag_bytes


@pytest.mark.parametrize(
    ("head", "reader"),
    [
        (b"fLaC\x00", "flac"),
        (b"OggS\x00", "ogg"),
        (b"\x1a\x45\xdf\xa3", "matroska"),
        (b"RIFF\x24\x00\x00\x00WAVEfmt ", "wav"),
        (b"RF64\xff\xff\xff\xffWAVEds64", "wav"),
        (b"\x00\x00\x00\x18ftypM4A ", "mov"),
        (b"\x00\x00\x01\xba\x44", "mpeg"),
        (b"ID3\x04\x00", "mp3"),
        (b"\xff\xfb\x90\x64", "mp3"),
        (b"\xff\xf3\x40\xc4", "mp3"),
        (b"\xff\xf1\x50\x80", "aac"),
    ],
)
def test_each_container_has_its_own_reader(head: bytes, reader: str) -> None:
    assert container_of(head).reader == reader


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"ffconcat version 1.0\n",
        b"#EXTM3U\n",
        b"RIFF\x24\x00\x00\x00AVI LIST",
        b"v=0\r\no=-",
        b"<?xml version",
        b"http://127.0.0.1/",
        b"\xff\xff\xff\xff",
        b"\xff\xe8\x00\x00",
        b"PK\x03\x04",
        b"\x89PNG\r\n",
    ],
)
def test_everything_else_is_none(head: bytes) -> None:
    assert container_of(head) is None


# A frame of MPEG-1 at 128 kbit/s and 44.1 kHz has 417 bytes, one of MPEG-2 at 32 kbit/s and 16 kHz has 144; of layer II one at
# 384 kbit/s and 44.1 kHz has 1253, one of MPEG-2 at 64 kbit/s and 22.05 kHz has 417 and one that is filled up.
FRAMES = {417: b"\xff\xfb\x90\x64", 144: b"\xff\xf3\x48\xc4", 1253: b"\xff\xfd\xe0\x04", 418: b"\xff\xf5\x82\xc4"}


@pytest.mark.parametrize("length", FRAMES)
def test_mpeg_audio_is_known_by_frames_that_follow_each_other_wherever_they_begin(length: int) -> None:
    frame = FRAMES[length] + bytes(length - 4)
    for lead in (b"", bytes(700), b"\xff" * 50, b"the rest of another frame"):
        assert container_of(lead + frame * 3).reader == "mp3"
    assert container_of(bytes(700) + frame * 2) is None
    assert container_of(bytes(700) + (frame + b"x") * 3) is None


@pytest.mark.parametrize("behind", [b"\x44\x00\x04", b"\x21\x00\x01"])
def test_an_mpeg_stream_is_known_by_the_first_pack_wherever_it_begins(behind: bytes) -> None:
    assert container_of(bytes(700) + b"\x00\x00\x01\xba" + behind).reader == "mpeg"
    assert container_of(bytes(700) + b"\x00\x00\x01\xba") is None
    assert container_of(bytes(700) + b"\x00\x00\x01\xba\xff\xff") is None


@pytest.mark.parametrize(
    ("head", "length"),
    [
        (b"ID3\x04\x00\x00\x00\x00\x02\x01", 10 + 257),
        (b"ID3\x04\x00\x10\x00\x00\x00\x05", 10 + 5 + 10),
        (b"ID3\x04\x00\x00\x00\x00\x02\x81", 0),
        (b"ID3\x04\x00", 0),
        (b"fLaC\x00\x00\x00\x22aaaa", 0),
        (b"", 0),
    ],
)
def test_a_tag_says_how_long_it_is(head: bytes, length: int) -> None:
    assert tag_bytes(head) == length
