"""Rows G1, G3 and G15 as figures: recordings that are bombs, that are broken, that never come whole, through the running server."""

import asyncio
import http.client
import json
import os
import random
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path

import av
import numpy as np

from tests.builders_speech import SAMPLE_RATE, tone, write_media, write_wav
from tests.faults.body_rows import heartbeat
from tests.faults.process_rows import Figure, Scale, at_most, exactly, resident_bytes
from tests.live import LiveServer, running_server

PATH = "/v1/audio/transcriptions"
BOUNDARY = "parley-faults"
MOST_GROWTH_MIB = 300
FORMATS = (("flac", "flac"), ("mp3", "mp3"), ("ogg", "libopus"), ("webm", "libopus"), ("mp4", "aac"))
NUM_CLIENTS = 4
_HALF_BYTES = 1 << 20
_MOST_SECONDS_FOR_UPLOADS = 60.0


def send(server: LiveServer, content: bytes, *, seconds: float = 600) -> tuple[int, dict[str, object]]:
    """Have a file written down by whatever answers whisper-1, within `seconds`."""
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="model"\r\n\r\nwhisper-1\r\n'
    head += f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a.mp3"\r\n\r\n'
    body = head.encode() + content + f"\r\n--{BOUNDARY}--\r\n".encode()
    headers = {**server.headers, "content-type": f"multipart/form-data; boundary={BOUNDARY}"}
    with closing(http.client.HTTPConnection(server.host, server.port, timeout=seconds)) as connection:
        connection.request("POST", PATH, body, headers)
        reply = connection.getresponse()
        return reply.status, json.loads(reply.read())


def silence(path: Path, seconds: int, *, container: str, codec: str) -> bytes:
    """So much silence, of which a file is nearly nothing; written a second at a time."""
    rate = 48_000 if codec == "libopus" else SAMPLE_RATE
    with av.open(str(path), "w", format=container) as output:
        stream = output.add_stream(codec, rate=rate)
        stream.layout = "mono"
        fifo = av.AudioFifo()
        resampler = av.AudioResampler(format=stream.format, layout="mono", rate=rate)
        for _ in range(seconds):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, rate), np.int16), format="s16", layout="mono")
            frame.rate = rate
            for part in resampler.resample(frame):
                fifo.write(part)
            while (part := fifo.read(stream.frame_size or 4_096)) is not None:
                output.mux(stream.encode(part))
        output.mux(stream.encode(None))
    return path.read_bytes()


async def g1(folder: Path, scale: Scale) -> list[Figure]:
    """Hours of silence in files that may be sent, and a header that says 2**32."""
    seconds = scale.pick(600, 36_000)
    settings = {} if scale.is_full else {"PARLEY_MAX_AUDIO_SECONDS": "300"}
    bombs = {
        f"{seconds / 3_600:.1f} h of silence as {codec}": silence(
            folder / codec, seconds, container=container, codec=codec
        )
        for container, codec in (("flac", "flac"), ("webm", "libopus"))
    }
    lying = bytearray(write_wav(folder / "lying", tone(2.0)).read_bytes())
    lying[4:8] = lying[40:44] = b"\xff" * 4
    figures = []
    with running_server(folder, settings) as server:
        await asyncio.to_thread(send, server, write_wav(folder / "first", tone(1.0)).read_bytes())
        before = resident_bytes(server.process.pid)
        for name, content in bombs.items():
            begin = time.monotonic()
            with heartbeat(server) as beats:
                status, reply = await asyncio.to_thread(send, server, content)
            code = reply["error"]["code"]
            figures += [
                exactly("G1", f"{name} ({len(content) / 1e6:.1f} MB)", (400, "audio_too_long"), (status, code)),
                at_most("G1", f"{name}: refused after", 30, time.monotonic() - begin, " s", is_timing=True),
                *beats.figures("G1", name),
            ]
        status, _ = await asyncio.to_thread(send, server, bytes(lying))
        growth = (resident_bytes(server.process.pid) - before) / 2**20
        figures += [
            exactly("G1", "2 s of sound whose header says 4 GiB", 200, status),
            at_most("G1", "resident memory more after all of them", MOST_GROWTH_MIB, growth, " MiB"),
        ]
    return figures


async def g3(folder: Path, scale: Scale) -> list[Figure]:
    """Files of each format with bytes changed and ends cut off, by one chance that is the same each time."""
    chance, num_each = random.Random(7), scale.pick(3, 500)
    mutated = []
    for container, codec in FORMATS:
        rate = 48_000 if codec == "libopus" else SAMPLE_RATE
        made = write_media(folder / codec, tone(1.0, rate=rate), container=container, codec=codec, rate=rate)
        mutated += [_mutated(chance, made.read_bytes()) for _ in range(num_each)]
    mutated += [_mutated(chance, write_wav(folder / "wav", tone(1.0)).read_bytes()) for _ in range(num_each)]
    with running_server(folder) as server:
        with ThreadPoolExecutor(NUM_CLIENTS) as clients:
            statuses = {status for status, _ in clients.map(lambda content: send(server, content), mutated)}
        alive = server.process.poll() is None
        status, _ = await asyncio.to_thread(send, server, write_wav(folder / "after", tone(1.0)).read_bytes())
    what = f"{len(mutated):,} mutated files"
    return [
        exactly("G3", f"{what}: answers other than 200 and 400", set(), statuses - {200, 400}),
        exactly("G3", f"{what}: some of them heard, some refused", True, statuses >= {200, 400}),
        exactly("G3", f"{what}: the server lives and hears the next one", (True, 200), (alive, status)),
    ]


async def g15(folder: Path, scale: Scale) -> list[Figure]:
    """Clients that leave in the middle of an upload."""
    num_uploads = scale.pick(20, 1_000)
    with running_server(folder) as server:
        with ThreadPoolExecutor(NUM_CLIENTS) as clients:
            list(clients.map(lambda _: _abandon(server), range(num_uploads)))
        begin = time.monotonic()
        while (left := _upload_bytes(server)) and time.monotonic() - begin < _MOST_SECONDS_FOR_UPLOADS:
            await asyncio.sleep(0.05)
        status, _ = await asyncio.to_thread(send, server, write_wav(folder / "after", tone(1.0)).read_bytes())
    return [
        exactly("G15", f"bytes of {num_uploads:,} uploads that were left half way, after 60 s", 0, left),
        exactly("G15", "a recording after them", 200, status),
    ]


def _abandon(server: LiveServer) -> None:
    """Half of an upload, and nobody there any more."""
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
    with closing(http.client.HTTPConnection(server.host, server.port, timeout=60)) as connection:
        connection.putrequest("POST", PATH)
        form = {"content-type": f"multipart/form-data; boundary={BOUNDARY}", "content-length": str(2 * _HALF_BYTES)}
        for name, value in {**server.headers, **form}.items():
            connection.putheader(name, value)
        connection.endheaders()
        connection.send(head.encode() + bytes(_HALF_BYTES))


def _upload_bytes(server: LiveServer) -> int:
    """What lies in the folder of uploads, and one for each file."""
    left = 0
    # The server takes them away meanwhile: `os.walk` passes over folders that are gone by then.
    for folder, _, names in os.walk(server.data / "uploads"):
        for name in names:
            with suppress(FileNotFoundError):
                left += 1 + (Path(folder) / name).stat().st_size
    return left


def _mutated(chance: random.Random, whole: bytes) -> bytes:
    mutated = bytearray(whole)
    for _ in range(chance.randrange(1, 60)):
        mutated[chance.randrange(len(mutated))] = chance.randrange(256)
    return bytes(mutated[: chance.randrange(len(mutated) // 2, len(mutated))])
