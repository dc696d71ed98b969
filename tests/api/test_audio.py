"""Transcriptions on the real server, by the newest official client, by hand and by the command line."""

import gzip
import http.client
import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import openai
import pytest
from click.testing import CliRunner
from openai import OpenAI

from parley.cli.commands import parley
from tests.builders_speech import spoken, tone, write_wav
from tests.live import LiveServer, running_server, worker_pid
from tests.whisper_maker import DETECTED, SAID, make_whisper

AUDIO = Path(__file__).parents[1] / "audio"
WORDS = (AUDIO / "inaugural.txt").read_text().lower().replace(",", "").replace(".", "").split()
SECONDS = 120.0
PATH = "/v1/audio/transcriptions"


@pytest.fixture(scope="module")
def whisper_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """A server of its own, to which a Whisper model was added while it ran; it takes files of a megabyte."""
    folder = tmp_path_factory.mktemp("whisper")
    made = make_whisper(folder / "tiny-made")
    settings = {"PARLEY_MAX_UPLOAD_MIB": "1", "PARLEY_MAX_AUDIO_SECONDS": "60", "PARLEY_NUM_THREADS": "1"}
    with running_server(folder, settings) as server:
        added = CliRunner().invoke(parley, ["models", "add", str(made), "--data", str(server.data)])
        assert added.exit_code == 0, added.output
        assert "all of Whisper's languages, and translates into English" in added.output
        yield server


@pytest.fixture(scope="module")
def client(whisper_server: LiveServer) -> Iterator[OpenAI]:
    with OpenAI(api_key=whisper_server.key, base_url=whisper_server.base_url, max_retries=0, timeout=SECONDS) as client:
        yield client


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_wav(tmp_path / "clip.wav", spoken(2.0))


def test_pocketsphinx_answers_where_nothing_was_added_and_says_that_it_does(live_server: LiveServer) -> None:
    with OpenAI(api_key=live_server.key, base_url=live_server.base_url, max_retries=0, timeout=SECONDS) as client:
        raw = client.audio.transcriptions.with_raw_response.create(
            model="whisper-1",
            file=AUDIO / "inaugural.flac",
            response_format="verbose_json",
            timestamp_granularities=["word", "segment"],
        )
        assert raw.headers["x-parley-model"] == "pocketsphinx-en-us"
        reply = raw.parse()
        assert client.models.retrieve("whisper-1").to_dict()["weights"] == "pocketsphinx-en-us"
    assert (reply.task, reply.language, float(reply.duration)) == ("transcribe", "english", 11.0)
    assert "what you can do for your country" in reply.text
    assert [word.word for word in reply.words] == reply.text.split()
    assert reply.usage.seconds == 11
    # Half of the words are right, at the least.
    assert len(set(reply.text.split()) & set(WORDS)) > len(set(WORDS)) / 2


@pytest.mark.filterwarnings("ignore:deprecated")
def test_what_pocketsphinx_cannot_do_is_refused_by_name(live_server: LiveServer, clip: Path) -> None:
    with OpenAI(api_key=live_server.key, base_url=live_server.base_url, max_retries=0) as client:
        with pytest.raises(openai.BadRequestError, match="cannot translate"):
            client.audio.translations.create(model="whisper-1", file=clip)
        for field, value in (("language", "de"), ("prompt", "Kennedy"), ("temperature", 0.5)):
            with pytest.raises(openai.BadRequestError) as refused:
                client.audio.transcriptions.create(model="whisper-1", file=clip, **{field: value})
            assert refused.value.param == field


def test_an_added_whisper_answers_in_every_format(client: OpenAI, clip: Path) -> None:
    assert client.audio.transcriptions.create(model="whisper-1", file=clip).text == SAID
    for name, expected in (
        ("text", f"{SAID}\n"),
        ("srt", f"1\n00:00:00,000 --> 00:00:01,000\n{SAID}\n\n"),
        ("vtt", f"WEBVTT\n\n00:00:00.000 --> 00:00:01.000\n{SAID}\n\n"),
    ):
        assert client.audio.transcriptions.create(model="whisper-1", file=clip, response_format=name) == expected
    verbose = client.audio.transcriptions.create(model="tiny-made", file=clip, response_format="verbose_json")
    assert (verbose.language, float(verbose.duration), verbose.segments[0].text) == ("german", 2.0, SAID)
    assert DETECTED == "de"


@pytest.mark.filterwarnings("ignore:deprecated")
def test_a_translation_is_in_english(client: OpenAI, clip: Path) -> None:
    reply = client.audio.translations.create(model="whisper-1", file=clip, response_format="verbose_json")
    assert (reply.language, reply.text) == ("english", SAID)


def test_a_stream_ends_with_the_text_of_its_pieces(client: OpenAI, clip: Path) -> None:
    with client.audio.transcriptions.create(model="whisper-1", file=clip, stream=True) as stream:
        events = list(stream)
    assert [event.type for event in events] == ["transcript.text.delta", "transcript.text.done"]
    assert events[0].delta == events[1].text == SAID


def test_a_stream_that_waits_says_what_for_in_comments(whisper_server: LiveServer, client: OpenAI, clip: Path) -> None:
    client.audio.transcriptions.create(model="whisper-1", file=clip)
    # Its worker hears nothing for a while.
    worker = worker_pid(whisper_server, "parley.workers.whisper")
    os.kill(worker, signal.SIGSTOP)
    try:
        with client.audio.transcriptions.with_streaming_response.create(
            model="whisper-1", file=clip, stream=True
        ) as reply:
            lines = reply.iter_lines()
            first = next(lines)
            os.kill(worker, signal.SIGCONT)
            rest = list(lines)
    finally:
        os.kill(worker, signal.SIGCONT)
    assert first == ": waiting for the first words"
    events = [json.loads(line.removeprefix("data: ")) for line in rest if line.startswith("data: ")]
    assert [event["type"] for event in events] == ["transcript.text.delta", "transcript.text.done"]
    assert all(line == "" or line.startswith((":", "data: ")) for line in rest)


def test_the_command_line_writes_subtitles_beside_the_file(whisper_server: LiveServer, clip: Path) -> None:
    common = ["--url", whisper_server.url, "--key", whisper_server.key]
    done = CliRunner().invoke(parley, ["transcribe", str(clip), "--format", "srt", "--beside", *common])
    assert done.exit_code == 0, done.output
    assert clip.with_suffix(".srt").read_text() == f"1\n00:00:00,000 --> 00:00:01,000\n{SAID}\n\n"
    shown = CliRunner().invoke(parley, ["transcribe", str(clip), str(clip), *common])
    assert shown.stdout == f"{SAID}\n{SAID}\n"
    refused = CliRunner().invoke(parley, ["transcribe", str(clip), "--language", "xx", *common])
    assert (refused.exit_code, "ISO-639-1" in refused.output) == (1, True)


def test_each_request_is_recorded_once_by_the_second(whisper_server: LiveServer, client: OpenAI, clip: Path) -> None:
    def recorded() -> tuple[int, int]:
        page = get(whisper_server, f"/v1/organization/costs?start_time={int(time.time()) - 90_000}&limit=7")
        return len(page["data"]), round(
            sum(each["amount"]["value"] for day in page["data"] for each in day["results"]) * 1e6
        )

    before = recorded()
    client.audio.transcriptions.create(model="whisper-1", file=clip)
    assert recorded()[1] - before[1] == 200


def test_a9_a_recording_that_is_sent_again_under_its_key_is_heard_once(whisper_server: LiveServer, clip: Path) -> None:
    def send(boundary: str) -> tuple[int, dict]:
        # Every client draws a boundary by chance.
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="model"\r\n\r\nwhisper-1\r\n--{boundary}\r\n'
        head += 'Content-Disposition: form-data; name="file"; filename="clip.wav"\r\n\r\n'
        body = head.encode() + clip.read_bytes() + f"\r\n--{boundary}--\r\n".encode()
        content_type = f"multipart/form-data; boundary={boundary}"
        return post(whisper_server, content_type, body, {"idempotency-key": "recording-1"})

    (status, reply), again = send("first"), send("second")
    assert (status, reply["text"]) == (200, SAID)
    assert again == (status, reply)


def test_g2_a_file_above_the_limit_is_refused_while_it_comes(whisper_server: LiveServer) -> None:
    for headers in ({"content-length": str(2 << 30)}, {"transfer-encoding": "chunked"}):
        status, body = post_raw(whisper_server, headers, size=3 << 20)
        assert status == 413
        assert "Maximum content size limit (1048576) exceeded" in body["error"]["message"]
    assert uploads(whisper_server) == []


def test_g10_forms_that_are_none_are_refused_by_what_is_wrong(whisper_server: LiveServer) -> None:
    part = b'--x\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n'
    for content_type, body, status in (
        ("multipart/form-data", b"", 400),
        (f"multipart/form-data; boundary={'x' * 71}", b"", 400),
        ("application/json", b"{}", 400),
        ("multipart/form-data; boundary=x", b"no form at all, and longer than its boundary", 400),
        ("multipart/form-data; boundary=x", part % (b"model", b"whisper-1"), 400),
        ("multipart/form-data; boundary=x", part % (b"model", b"w" * 70_000) + b"--x--\r\n", 400),
        ("multipart/form-data; boundary=x", part % (b"prompt", b"p") * 40 + b"--x--\r\n", 400),
        ("multipart/form-data; boundary=x", b'--x\r\nContent-Disposition: form-data; name="' + b"n" * 9_000, 400),
        ("multipart/form-data; boundary=x", part % (b"model", b"\xff\xfe") + b"--x--\r\n", 400),
        ("multipart/form-data; boundary=x", part % (b"file", b"") * 2 + b"--x--\r\n", 400),
    ):
        found, reply = post(whisper_server, content_type, body)
        assert (found, reply["error"]["type"]) == (status, "invalid_request_error"), (content_type, body[:60])
    assert uploads(whisper_server) == []


@pytest.mark.parametrize(
    "name", ["../../escape.wav", "/etc/escape.wav", "a\x00b.wav", "n" * 4_000, "\u202egnp.wav", "..", ""]
)
def test_g11_no_name_of_a_file_leads_anywhere(whisper_server: LiveServer, clip: Path, name: str) -> None:
    head = f'--x\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'.encode()
    model = b'\r\n--x\r\nContent-Disposition: form-data; name="model"\r\n\r\nwhisper-1\r\n--x--\r\n'
    status, reply = post(whisper_server, "multipart/form-data; boundary=x", head + clip.read_bytes() + model)
    assert (status, reply.get("text", SAID)) in {(200, SAID), (400, SAID)}
    assert uploads(whisper_server) == []
    assert not list(whisper_server.data.rglob("*escape*"))


def test_g12_a_body_that_is_packed_is_not_unpacked(whisper_server: LiveServer) -> None:
    packed = gzip.compress(bytes(32 << 20))
    for content_type in ("multipart/form-data; boundary=x", "application/json"):
        status, reply = post(whisper_server, content_type, packed, {"content-encoding": "gzip"})
        assert (status, reply["error"]["code"]) == (415, "unsupported_content_encoding")
    assert uploads(whisper_server) == []


@pytest.mark.parametrize(("num_ranges", "status"), [(1, 200), (1_000, 200), (8_000, 431)])
def test_g14_parts_of_a_reply_are_not_to_be_had_however_many_are_asked_for(
    whisper_server: LiveServer, num_ranges: int, status: int
) -> None:
    ranges = "bytes=" + ",".join(f"{number}-{number}" for number in range(num_ranges))
    with connected(whisper_server) as connection:
        connection.request("GET", "/openapi.json", headers={"range": ranges})
        reply = connection.getresponse()
        whole = json.loads(reply.read())
    assert (reply.status, reply.headers["content-range"]) == (status, None)
    assert status == 431 or PATH in whole["paths"]


def test_g16_what_a_file_is_called_and_says_is_never_a_page(whisper_server: LiveServer, clip: Path) -> None:
    name = "<script>alert(1)</script>.svg"
    for content, form in ((clip.read_bytes(), "text"), (clip.read_bytes(), "vtt"), (b"<svg onload=alert(1)>", "text")):
        parts = [
            f'--x\r\nContent-Disposition: form-data; name="{field}"\r\n\r\n{value}\r\n'
            for field, value in (("model", "whisper-1"), ("response_format", form))
        ]
        head = "".join(parts) + f'--x\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
        with connected(whisper_server) as connection:
            headers = {**whisper_server.headers, "content-type": "multipart/form-data; boundary=x"}
            connection.request("POST", PATH, head.encode() + content + b"\r\n--x--\r\n", headers)
            reply = connection.getresponse()
            said = reply.read()
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert reply.headers.get_content_type() in {"text/plain", "text/vtt", "application/json"}
        assert b"<script" not in said


def test_g15_an_upload_whose_client_leaves_leaves_nothing(whisper_server: LiveServer) -> None:
    with socket.create_connection((whisper_server.host, whisper_server.port)) as connection:
        head = "\r\n".join(
            [
                "POST /v1/audio/transcriptions HTTP/1.1",
                f"Host: {whisper_server.host}",
                f"Authorization: Bearer {whisper_server.key}",
                "Content-Type: multipart/form-data; boundary=x",
                "Content-Length: 1000000",
                "",
                '--x\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n',
            ]
        )
        connection.sendall(head.encode() + bytes(400_000))
        wait_until(lambda: len(uploads(whisper_server)) == 1)
    wait_until(lambda: uploads(whisper_server) == [])


def test_a_sound_longer_than_what_is_heard_is_refused_and_costs_nothing(client: OpenAI, tmp_path: Path) -> None:
    from tests.builders_speech import write_media  # noqa: PLC0415 - used here alone

    long = write_media(tmp_path / "long.flac", tone(70.0), container="flac", codec="flac")
    with pytest.raises(openai.BadRequestError) as refused:
        client.audio.transcriptions.create(model="whisper-1", file=long)
    assert refused.value.code == "audio_too_long"


def test_a_removed_whisper_gives_its_place_back(tmp_path: Path) -> None:
    made = make_whisper(tmp_path / "turbo", num_encoder_layers=2)
    home = tmp_path / "home"
    home.mkdir()
    with running_server(home) as server:
        data = ["--data", str(server.data)]
        added = CliRunner().invoke(parley, ["models", "add", str(made), *data])
        assert "it hears all of Whisper's languages. `turbo`" in added.output
        assert get(server, "/v1/models/whisper-1")["capabilities"] == ["transcribe"]
        removed = CliRunner().invoke(parley, ["models", "remove", "turbo", *data])
        assert removed.exit_code == 0, removed.output
        assert "pocketsphinx-en-us" in removed.output
        assert list((server.data / "models").iterdir()) == []


@contextmanager
def connected(server: LiveServer) -> Iterator[http.client.HTTPConnection]:
    with closing(http.client.HTTPConnection(server.host, server.port, timeout=SECONDS)) as connection:
        yield connection


def get(server: LiveServer, path: str) -> dict:
    with connected(server) as connection:
        connection.request("GET", path, headers=server.headers)
        return json.loads(connection.getresponse().read())


def post(server: LiveServer, content_type: str, body: bytes, headers: dict[str, str] | None = None) -> tuple[int, dict]:
    with connected(server) as connection:
        connection.request("POST", PATH, body, {**server.headers, "content-type": content_type, **(headers or {})})
        reply = connection.getresponse()
        return reply.status, json.loads(reply.read())


def post_raw(server: LiveServer, headers: dict[str, str], *, size: int) -> tuple[int, dict]:
    """Begin to send a file of `size` and read what comes back, whether or not all of it was taken."""
    first = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
    is_chunked = "transfer-encoding" in headers
    with connected(server) as connection:
        connection.putrequest("POST", PATH)
        form = {"content-type": "multipart/form-data; boundary=x"}
        for name, value in {**server.headers, **form, **headers}.items():
            connection.putheader(name, value)
        connection.endheaders()
        with suppress(BrokenPipeError, ConnectionResetError):
            for part in [first, *[bytes(65_536)] * (size // 65_536)]:
                connection.send(b"%x\r\n%b\r\n" % (len(part), part) if is_chunked else part)
        reply = connection.getresponse()
        return reply.status, json.loads(reply.read())


def uploads(server: LiveServer) -> list[Path]:
    return list((server.data / "uploads").iterdir())


def wait_until(is_so) -> None:
    deadline = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)
