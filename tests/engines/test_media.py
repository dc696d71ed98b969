"""Recordings through the real decoder and its confined worker. Names begin with the row of the fault list they prove."""

import asyncio
import os
import random
import struct
from pathlib import Path

import numpy as np
import pytest

from parley.core.errors import InvalidRequest
from parley.core.speech import BYTES_PER_SECOND, SAMPLE_RATE, Recording
from parley.serving.media.decoder import MediaDecoder, MediaRules
from tests.builders_speech import tone, write_media, write_silent_film, write_wav

MOST_SECONDS = 30.0
# What the worker may take at most while it decodes something long, beyond what it takes for something short.
MOST_GROWTH_KIB = 64 * 1024
CONTAINERS = [
    ("flac", "flac"),
    ("mp3", "mp3"),
    ("ogg", "libopus"),
    ("webm", "libopus"),
    ("mp4", "aac"),
    ("ipod", "aac"),
    ("adts", "aac"),
    ("mpeg", "mp2"),
    ("wav", "pcm_s16le"),
    ("wav", "pcm_alaw"),
]


@pytest.fixture
def decoder() -> MediaDecoder:
    return MediaDecoder(MediaRules(max_seconds=MOST_SECONDS))


def recording(path: Path) -> Recording:
    return Recording(path=path, num_bytes=path.stat().st_size, sha256="")


def file(tmp_path: Path, content: bytes) -> Recording:
    path = tmp_path / "upload"
    path.write_bytes(content)
    return recording(path)


async def heard(decoder: MediaDecoder, what: Recording) -> np.ndarray:
    parts = [part async for part in decoder.decode(what)]
    return np.frombuffer(b"".join(parts), np.int16)


async def refusal(decoder: MediaDecoder, what: Recording) -> InvalidRequest:
    async def look_and_hear() -> None:
        await decoder.probe(what)
        await heard(decoder, what)

    with pytest.raises(InvalidRequest) as refused:
        await look_and_hear()
    return refused.value


@pytest.mark.parametrize(("container", "codec"), CONTAINERS)
async def test_every_container_is_heard_whatever_its_file_is_called(decoder, tmp_path, container, codec):
    rate = 8_000 if codec == "pcm_alaw" else 48_000
    made = write_media(tmp_path / "upload", tone(2.0, rate=rate), container=container, codec=codec, rate=rate)
    claimed = await decoder.probe(recording(made))
    samples = await heard(decoder, recording(made))
    assert claimed is None or abs(claimed - 2.0) < 0.3
    assert abs(len(samples) / SAMPLE_RATE - 2.0) < 0.2
    # The tone is there: 440 waves in a second.
    spectrum = np.abs(np.fft.rfft(samples[:SAMPLE_RATE].astype(float)))
    assert abs(int(spectrum.argmax()) - 440) <= 2


async def test_g1_more_sound_than_is_heard_is_refused_as_soon_as_it_comes(decoder, tmp_path):
    long = write_media(tmp_path / "upload", np.zeros(600 * SAMPLE_RATE, np.int16), container="flac", codec="flac")
    assert long.stat().st_size < 200_000
    assert (await refusal(decoder, recording(long))).code == "audio_too_long"


async def test_g1_memory_is_flat_however_long_a_recording_is(tmp_path):
    decoder = MediaDecoder(MediaRules(max_seconds=36_000.0))
    peaks = []
    for seconds in (20, 1_800):
        samples = np.zeros(seconds * SAMPLE_RATE, np.int16)
        made = write_media(tmp_path / f"{seconds}", samples, container="flac", codec="flac")
        num_bytes = peak = 0
        async for part in decoder.decode(recording(made)):
            num_bytes += len(part)
            peak = max(peak, *(peak_kib(pid) for pid in children()))
        assert num_bytes == seconds * BYTES_PER_SECOND
        peaks.append(peak)
    assert peaks[1] - peaks[0] < MOST_GROWTH_KIB


@pytest.mark.parametrize("claimed", [0, 1, 0x7FFFFFFF, 0xFFFFFFFF])
async def test_g1_a_header_that_lies_of_its_length_changes_nothing(decoder, tmp_path, claimed):
    whole = bytearray(write_wav(tmp_path / "honest", tone(2.0)).read_bytes())
    struct.pack_into("<I", whole, 40, claimed)
    struct.pack_into("<I", whole, 4, claimed)
    what = file(tmp_path, bytes(whole))
    if claimed == 1:
        assert (await refusal(decoder, what)).code in {"audio_too_short", "invalid_value"}
    else:
        await decoder.probe(what)
        assert len(await heard(decoder, what)) == 2 * SAMPLE_RATE


async def test_g1_a_decoding_that_nobody_listens_to_goes_no_further(decoder, tmp_path):
    made = write_wav(tmp_path / "upload", tone(25.0))
    decoding = decoder.decode(recording(made))
    await anext(decoding)
    [pid] = children()
    await asyncio.sleep(0.2)
    before = cpu_ticks(pid)
    await asyncio.sleep(0.3)
    assert cpu_ticks(pid) - before <= 1
    await decoding.aclose()
    assert children() == []


async def test_g3_mutated_files_are_heard_or_refused_and_never_fail_us(decoder, tmp_path):
    chance = random.Random(7)
    originals = [
        write_media(tmp_path / f"{container}-{codec}", tone(1.0), container=container, codec=codec).read_bytes()
        for container, codec in (("flac", "flac"), ("mp3", "mp3"), ("webm", "libopus"), ("mp4", "aac"))
    ]
    for number in range(12):
        mutated = bytearray(originals[number % len(originals)])
        for _ in range(chance.randrange(1, 60)):
            mutated[chance.randrange(len(mutated))] = chance.randrange(256)
        what = file(tmp_path, bytes(mutated[: chance.randrange(len(mutated) // 2, len(mutated))]))
        try:
            await heard(decoder, what)
        except InvalidRequest as error:
            assert error.param == "file"  # noqa: PT017 - both ends are right


async def test_g3_a_worker_that_is_killed_is_the_files_fault_and_not_the_servers(decoder, tmp_path):
    decoding = decoder.decode(recording(write_wav(tmp_path / "upload", tone(25.0))))
    await anext(decoding)
    os.kill(children()[0], 11)
    with pytest.raises(InvalidRequest, match="corrupted or unsupported"):
        async for _ in decoding:
            pass


async def test_g4_a_list_of_files_reads_no_neighbour(decoder, tmp_path):
    victim = write_wav(tmp_path / "victim.wav", tone(2.0))
    lists = {
        "ffconcat": f"ffconcat version 1.0\nfile {victim.name}\n",
        "m3u8": f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{victim.name}\n#EXT-X-ENDLIST\n",
        "cue": f'FILE "{victim.name}" WAVE\n  TRACK 01 AUDIO\n    INDEX 01 00:00:00\n',
        "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5004 RTP/AVP 0\n",
        "dash": f'<?xml version="1.0"?><MPD><Period><BaseURL>{victim.name}</BaseURL></Period></MPD>',
        "subfile": f"subfile,,start,0,end,0,,:{victim}",
        "address": "http://127.0.0.1:9/secret.mp3",
    }
    for content in lists.values():
        for opening in (b"", b"ID3\x03\x00\x00\x00\x00\x00\x00", b"\xff\xfb\x90\x64", b"RIFF\x00\x00\x00\x00WAVE"):
            what = file(tmp_path, opening + content.encode())
            if not opening:
                assert "Invalid file format" in (await refusal(decoder, what)).message
                continue
            try:
                assert not len(await heard(decoder, what))
            except InvalidRequest as error:
                assert error.param == "file"  # noqa: PT017 - refused is as good as unheard


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", None),
        (b"This is a text and no recording.", None),
        (b"\x00" * 4_096, None),
        (b"fLaC", "invalid_value"),
        (b"OggS" + bytes(60), "invalid_value"),
        (b"\x1a\x45\xdf\xa3" + bytes(60), "invalid_value"),
        (b"RIFF\x24\x00\x00\x00WAVEfmt \x10\x00\x00\x00", "invalid_value"),
        (b"\x00\x00\x00\x18ftypM4A \x00\x00\x00\x00M4A mp42isom\x00\x00\x00\x00", "invalid_value"),
    ],
    ids=["0 bytes", "text", "zeros", "flac", "ogg", "webm", "header of wav", "mp4 without moov"],
)
async def test_g5_what_is_no_recording_is_refused(decoder, tmp_path, content, code):
    found = await refusal(decoder, file(tmp_path, content))
    assert (found.param, found.code) == ("file", code)


async def test_g5_random_bytes_behind_a_sign_of_mp3_are_no_recording(decoder, tmp_path):
    noise = random.Random(3).randbytes(20_000)
    found = await refusal(decoder, file(tmp_path, b"\xff\xfb\x90\x64" + noise))
    assert found.code in {"audio_too_short", "invalid_value"}


async def test_g5_a_film_without_sound_says_so(decoder, tmp_path):
    found = await refusal(decoder, recording(write_silent_film(tmp_path / "upload")))
    assert found.message == "The file has no audio track."


async def test_g5_a_file_that_was_cut_off_gives_what_came_before(decoder, tmp_path):
    for container, codec in (("flac", "flac"), ("mp3", "mp3"), ("webm", "libopus")):
        whole = write_media(tmp_path / container, tone(4.0), container=container, codec=codec).read_bytes()
        samples = await heard(decoder, file(tmp_path, whole[: len(whole) // 2]))
        assert 1.0 < len(samples) / SAMPLE_RATE < 3.0, container


async def test_g5_an_error_in_the_middle_does_not_cut_off_the_rest(decoder, tmp_path):
    for container, codec in (("mp3", "mp3"), ("flac", "flac")):
        whole = bytearray(write_media(tmp_path / container, tone(8.0), container=container, codec=codec).read_bytes())
        middle = len(whole) // 3
        whole[middle : middle + 400] = random.Random(1).randbytes(400)
        samples = await heard(decoder, file(tmp_path, bytes(whole)))
        assert len(samples) / SAMPLE_RATE > 6.5, container


async def test_g5_a_recording_that_changes_its_format_half_way_is_heard_to_its_end(decoder, tmp_path):
    parts = [
        write_media(tmp_path / str(rate), tone(1.0, rate=rate), container="mp3", codec="mp3", rate=rate).read_bytes()
        for rate in (48_000, 22_050, 16_000)
    ]
    samples = await heard(decoder, file(tmp_path, b"".join(parts)))
    assert abs(len(samples) / SAMPLE_RATE - 3.0) < 0.4


@pytest.mark.parametrize(("container", "codec"), [("flac", "flac"), ("adts", "aac"), ("mp3", "mp3")])
async def test_g5_a_tag_before_the_sound_hides_no_container(decoder, tmp_path, container, codec):
    made = write_media(tmp_path / "made", tone(2.0, rate=48_000), container=container, codec=codec, rate=48_000)
    tag = b"ID3\x04\x00\x00\x00\x01\x48\x00" + bytes((1 << 14) + (0x48 << 7))
    samples = await heard(decoder, file(tmp_path, tag + made.read_bytes()))
    assert abs(len(samples) / SAMPLE_RATE - 2.0) < 0.2


@pytest.mark.parametrize(("container", "codec"), [("mp3", "mp3"), ("mp2", "mp2"), ("mpeg", "mp2")])
async def test_g5_what_was_cut_out_of_the_middle_of_mpeg_audio_is_heard(decoder, tmp_path, container, codec):
    whole = write_media(tmp_path / "made", tone(8.0), container=container, codec=codec).read_bytes()
    for place in random.Random(5).sample(range(1_000, len(whole) // 2), 3):
        samples = await heard(decoder, file(tmp_path, whole[place:]))
        assert len(samples) / SAMPLE_RATE == pytest.approx(8 * (1 - place / len(whole)), abs=0.3)


async def test_g5_zeros_before_mpeg_audio_do_not_hide_it(decoder, tmp_path):
    made = write_media(tmp_path / "made", tone(2.0), container="mp3", codec="mp3").read_bytes()
    samples = await heard(decoder, file(tmp_path, bytes(20_000) + made))
    assert len(samples) / SAMPLE_RATE == pytest.approx(2.0, abs=0.2)


async def test_g1_a_header_that_says_one_sample_a_second_makes_no_hours_of_a_few_bytes(decoder, tmp_path):
    whole = bytearray(write_wav(tmp_path / "honest", tone(2.0)).read_bytes())
    struct.pack_into("<I", whole, 24, 1)
    assert (await refusal(decoder, file(tmp_path, bytes(whole)))).code == "audio_too_short"


async def test_g5_the_index_may_stand_behind_the_sound(decoder, tmp_path):
    made = write_media(tmp_path / "upload", tone(2.0), container="mp4", codec="aac").read_bytes()
    assert made.index(b"moov") > made.index(b"mdat")
    assert len(await heard(decoder, file(tmp_path, made))) > 1.8 * SAMPLE_RATE


def children() -> list[int]:
    """The media workers of this process."""
    pids = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
    return [int(pid) for pid in pids if b"parley.workers.media" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def peak_kib(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM:")), 0)


def cpu_ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])
