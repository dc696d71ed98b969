"""What is said comes back: a Whisper that knows its words, behind the real server, by the official client and the command line."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from openai import BadRequestError, OpenAI
from openai.types.audio import TranscriptionVerbose

from parley.cli.commands import parley
from tests.builders_closed import CLOSED, Clip, Talk, clips, error_rate, num_found, silence, talk
from tests.builders_speech import write_media, write_wav
from tests.live import LiveServer, running_server
from tests.whisper_forms import transformers_form

SECONDS = 300.0
CONVERTED = "closed-in-transformers-form"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """The checkpoint was added in both forms; the one of the runtime last, so that it answers whisper-1."""
    folder = tmp_path_factory.mktemp("closed")
    converted = transformers_form(CLOSED, folder / CONVERTED)
    with running_server(folder) as server:
        for added in (converted, CLOSED):
            done = CliRunner().invoke(parley, ["models", "add", str(added), "--data", str(server.data)])
            assert done.exit_code == 0, done.output
        yield server


@pytest.fixture(scope="module")
def client(server: LiveServer) -> Iterator[OpenAI]:
    with OpenAI(api_key=server.key, base_url=server.base_url, max_retries=0, timeout=SECONDS) as client:
        yield client


@pytest.fixture
def german(tmp_path: Path) -> tuple[Talk, Path]:
    said = talk(clips("de")[:3], [0.4, 0.9, 0.9, 0.4])
    return said, write_wav(tmp_path / "german.wav", said.samples)


def test_a_recording_is_written_down_in_the_language_that_was_found_out(
    client: OpenAI, german: tuple[Talk, Path]
) -> None:
    said, path = german
    raw = client.audio.transcriptions.with_raw_response.create(
        model="whisper-1", file=path, response_format="verbose_json", timestamp_granularities=["word", "segment"]
    )
    assert raw.headers["x-parley-model"].startswith("whisper-closed-")
    reply = raw.parse()
    assert (reply.task, reply.language) == ("transcribe", "german")
    assert float(reply.duration) == pytest.approx(said.seconds, abs=0.01)
    assert error_rate([(said.said, reply.text)]) < 0.25
    assert "".join(segment.text for segment in reply.segments).strip() == reply.text
    assert [segment.id for segment in reply.segments] == list(range(len(reply.segments)))
    assert " ".join(word.word for word in reply.words) == reply.text
    assert all(0 <= word.start <= word.end <= reply.duration for word in reply.words)
    english = client.audio.transcriptions.create(
        model="whisper-1", file=clips("en")[3].path, response_format="verbose_json"
    )
    assert english.language == "english"


def test_a_language_that_came_with_a_later_vocabulary_is_refused_by_name(
    client: OpenAI, german: tuple[Talk, Path]
) -> None:
    with pytest.raises(BadRequestError, match="does not hear cantonese") as refused:
        client.audio.transcriptions.create(model="whisper-1", file=german[1], language="yue")
    assert refused.value.param == "language"


@pytest.mark.filterwarnings("ignore:deprecated")
def test_german_is_translated_into_english(client: OpenAI, german: tuple[Talk, Path]) -> None:
    said, path = german
    reply = client.audio.translations.create(model="whisper-1", file=path, response_format="verbose_json")
    assert reply.language == "english"
    assert error_rate([(said.english, reply.text)]) < 0.5


def test_every_format_says_the_same(client: OpenAI, german: tuple[Talk, Path]) -> None:
    _, path = german

    def told(name: str) -> str:
        return str(client.audio.transcriptions.create(model="whisper-1", file=path, response_format=name))

    text = client.audio.transcriptions.create(model="whisper-1", file=path).text
    assert told("text") == f"{text}\n"
    moment = r"\d\d:\d\d:\d\d[,.]\d{3}"
    for name, head in (("srt", ""), ("vtt", "WEBVTT\n\n")):
        cues = told(name).removeprefix(head).strip().split("\n\n")
        shown = [re.sub(rf"^(\d+\n)?{moment} --> {moment}\n", "", cue) for cue in cues]
        assert " ".join(shown) == text


def test_a_stream_tells_each_sentence_and_ends_with_all(client: OpenAI, german: tuple[Talk, Path]) -> None:
    said, path = german
    with client.audio.transcriptions.create(model="whisper-1", file=path, stream=True) as stream:
        *deltas, done = list(stream)
    assert len(deltas) > 1
    assert "".join(each.delta for each in deltas) == done.text
    assert error_rate([(said.said, done.text)]) < 0.25


def test_the_same_checkpoint_in_transformers_form_says_the_same(client: OpenAI) -> None:
    for clip in (*clips("en")[:3], *clips("de")[:3]):
        first, second = (heard(client, name, clip) for name in ("whisper-closed", CONVERTED))
        assert first.text == second.text
        assert first.language == second.language
        # Rounded twice, its weights are not the very same: a moment that is nearly a tie may go to the neighbour.
        for name in ("start", "end"):
            moments = [getattr(segment, name) for segment in first.segments]
            assert [getattr(segment, name) for segment in second.segments] == pytest.approx(moments, abs=0.05)


def heard(client: OpenAI, model: str, clip: Clip) -> TranscriptionVerbose:
    return client.audio.transcriptions.create(model=model, file=clip.path, response_format="verbose_json")


def test_minutes_of_speech_are_written_down_with_the_moments_of_the_whole(client: OpenAI, tmp_path: Path) -> None:
    said = talk(clips("en") * 2, [0.8 if number % 4 else 24.0 for number in range(25)])
    path = write_media(tmp_path / "long.flac", said.samples, container="flac", codec="flac")
    reply = client.audio.transcriptions.create(
        model="whisper-1", file=path, language="en", response_format="verbose_json"
    )
    assert said.seconds > 170
    assert float(reply.duration) == pytest.approx(said.seconds, abs=0.02)
    starts = [segment.start for segment in reply.segments]
    assert starts == sorted(starts)
    assert error_rate([(said.said, reply.text)]) < 0.2
    assert num_found(said, reply.segments) >= 0.55 * len(said.clips)
    assert starts[-1] == pytest.approx(said.moments[-1][0], abs=10.0)


def test_silence_is_no_text_and_no_error(client: OpenAI, tmp_path: Path) -> None:
    path = write_wav(tmp_path / "silence.wav", silence(12.0))
    reply = client.audio.transcriptions.create(model="whisper-1", file=path, response_format="verbose_json")
    assert (reply.text, reply.segments, float(reply.duration)) == ("", [], 12.0)


def test_the_command_line_writes_a_recording_down_and_makes_subtitles(server: LiveServer) -> None:
    clip = clips("en")[3]
    common = ["transcribe", str(clip.path), "--url", server.url, "--key", server.key]
    shown = CliRunner().invoke(parley, common)
    assert shown.exit_code == 0, shown.output
    assert error_rate([(clip.said, shown.stdout)]) < 0.5
    subtitles = CliRunner().invoke(parley, [*common, "--format", "srt"])
    assert re.fullmatch(r"1\n00:00:0\d,\d{3} --> 00:00:0\d,\d{3}\n.+\n\n*", subtitles.stdout)
    assert shown.stdout.strip() in subtitles.stdout
