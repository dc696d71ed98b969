"""What a file's first bytes say it is."""

import pytest

from parley.core.containers import container_of


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
