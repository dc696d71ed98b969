"""Forms as clients cut them into packets: what is read does not depend on where."""

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from parley.api.form import Form, FormReader
from parley.core.errors import InvalidRequest, Overloaded
from parley.infra.storage import StorageWatch
from parley.infra.uploads import Uploads
from tests.small_disk import NotHere, fill, small_disk

CONTENT = b"RIFF\x00\xff\r\n--x" * 200
BODY = (
    b'--x7\r\nContent-Disposition: form-data; name="model"\r\n\r\nwhisper-1\r\n'
    b'--x7\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n' + CONTENT + b"\r\n--x7--"
)


class Packets:
    """What a form reader asks of a request."""

    def __init__(self, packets: Sequence[bytes]) -> None:
        self.headers = {"content-type": 'multipart/form-data; boundary="x7"'}
        self._packets = packets

    async def stream(self) -> AsyncIterator[bytes]:
        for packet in (*self._packets, b""):
            yield packet


async def read(folder: Path, *packets: bytes) -> tuple[Form, bytes]:
    uploads = Uploads(folder)
    with ExitStack() as uploaded:
        form = await FormReader(uploads, max_file_bytes=1 << 20).read(Packets(packets), uploaded)
        assert form.recording is not None
        return form, form.recording.path.read_bytes()


@pytest.mark.parametrize("end", [b"", b"\r\n", b"\r\n\r\n", b"\r\nas some say goodbye"])
async def test_a_form_is_the_same_wherever_its_packets_end(tmp_path: Path, end: bytes) -> None:
    whole = BODY + end
    for place in (1, 5, len(BODY) - len(CONTENT), len(BODY) - 4, len(BODY) - 1, len(BODY), len(whole) - 1):
        form, content = await read(tmp_path, whole[:place], whole[place:])
        assert form.fields == (("model", "whisper-1"),)
        assert content == CONTENT
    form, content = await read(tmp_path, *(whole[place : place + 1] for place in range(len(whole))))
    assert (form.fields, content) == ((("model", "whisper-1"),), CONTENT)


async def test_what_comes_behind_a_form_is_bounded(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="could not parse the form"):
        await read(tmp_path, BODY, bytes(1_000), bytes(1_000))


async def test_a_form_that_breaks_off_is_none(tmp_path: Path) -> None:
    for length in (0, 3, 40, len(BODY) - 1):
        with pytest.raises(InvalidRequest, match="could not parse the form"):
            await read(tmp_path, BODY[:length])


@pytest.mark.parametrize(("num_bytes", "num_free"), [(100, 0), (900_000, 0), (900_000, 400_000)])
async def test_a_recording_that_the_disk_has_no_room_for_is_refused_and_leaves_nothing(
    tmp_path: Path, num_bytes: int, num_free: int
) -> None:
    whole = BODY.replace(CONTENT, bytes(num_bytes))
    packets = [whole[place : place + 100_001] for place in range(0, len(whole), 100_001)]
    try:
        with small_disk(tmp_path / "disk", megabytes=4) as disk:
            uploads = disk / "uploads"
            uploads.mkdir()
            fill(disk / "ballast")
            os.truncate(disk / "ballast", (disk / "ballast").stat().st_size - num_free)
            with pytest.raises(Overloaded):
                await read(uploads, *packets)
            assert list(uploads.iterdir()) == []
    except NotHere as lack:
        pytest.skip(str(lack))


async def test_no_file_is_begun_while_the_disk_is_known_to_be_full(tmp_path: Path) -> None:
    try:
        with small_disk(tmp_path / "disk", megabytes=4) as disk:
            watch = StorageWatch(disk / "parley.db")
            watch.reserve.take()
            fill(disk / "ballast")
            watch.look()
            with pytest.raises(Overloaded):
                Uploads(tmp_path / "elsewhere", watch).sweep().begin()
            assert list((tmp_path / "elsewhere").iterdir()) == []
    except NotHere as lack:
        pytest.skip(str(lack))
