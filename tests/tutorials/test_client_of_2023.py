"""Programs written for `openai` 0.27 run unchanged: the library, its asynchronous half and its command line."""

import ast
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from parley.cli.commands import parley
from tests.builders_closed import CLOSED, clips, error_rate
from tests.builders_speech import tone, write_wav
from tests.live import LiveServer, running_server
from tests.tutorials.programs import CLIENT_2023, command_2023, lines, program_2023, run

ALIASES_OF_2023 = {
    "gpt-3.5-turbo",
    "gpt-4",
    "gpt-4-32k",
    "text-davinci-003",
    "text-davinci-002",
    "text-curie-001",
    "text-babbage-001",
    "text-ada-001",
    "davinci",
    "curie",
    "babbage",
    "ada",
    "code-davinci-002",
    "text-davinci-edit-001",
    "code-davinci-edit-001",
}


RECORDING = Path(__file__).parents[1] / "audio" / "inaugural.flac"


def test_a_recording_is_written_down_by_the_library_and_by_its_command_line(live_server: LiveServer) -> None:
    heard = json.loads(program_2023("audio", live_server, str(RECORDING)))
    assert "what you can do for your country" in heard["text"]
    told = command_2023(live_server, "api", "audio.transcribe", "-m", "whisper-1", "-f", str(RECORDING))
    assert json.loads(told)["text"] == heard["text"]


def test_the_command_line_hears_that_a_model_cannot_translate(live_server: LiveServer, tmp_path: Path) -> None:
    clip = write_wav(tmp_path / "clip.wav", tone(1.0))
    done = run([CLIENT_2023 / "openai", "api", "audio.translate", "-m", "whisper-1", "-f", clip], live_server)
    assert "cannot translate" in done.stderr + done.stdout


def test_a_whisper_writes_down_and_translates_by_the_library_and_by_its_command_line(tmp_path: Path) -> None:
    clip = clips("de")[1]
    with running_server(tmp_path) as server:
        added = CliRunner().invoke(parley, ["models", "add", str(CLOSED), "--data", str(server.data)])
        assert added.exit_code == 0, added.output
        heard = json.loads(program_2023("audio", server, str(clip.path)))
        assert error_rate([(clip.said, heard["text"])]) < 0.5
        told = command_2023(server, "api", "audio.transcribe", "-m", "whisper-1", "-f", str(clip.path))
        assert json.loads(told)["text"] == heard["text"]
        translate = ["api", "audio.translate", "-m", "whisper-1", "-f", str(clip.path)]
        for words in (translate, [*translate, "--language", "de"]):
            assert error_rate([(clip.english, json.loads(command_2023(server, *words))["text"])]) < 0.5


def assert_adds_up(usage: dict[str, int]) -> None:
    assert usage["prompt_tokens"] > 0
    assert usage["completion_tokens"] >= 0
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


def assert_is_recent(created: int) -> None:
    assert abs(datetime.now(UTC).timestamp() - created) < 600


def test_the_first_chat_call_prints_a_chat_completion(live_server: LiveServer) -> None:
    reply: dict[str, Any] = json.loads(program_2023("chat_first_call", live_server))
    assert reply["object"] == "chat.completion"
    assert reply["id"].startswith("chatcmpl-")
    assert reply["model"] == "gpt-3.5-turbo-0301"
    assert_is_recent(reply["created"])
    assert_adds_up(reply["usage"])
    [choice] = reply["choices"]
    assert choice["index"] == 0
    assert choice["message"]["role"] == "assistant"
    assert isinstance(choice["message"]["content"], str)
    assert choice["finish_reason"] in {"stop", "length"}


def test_a_conversation_grows_turn_by_turn(live_server: LiveServer) -> None:
    turns = re.findall(r"^turn: (\d+) (\w+) (.+)$", program_2023("chat_conversation", live_server), re.MULTILINE)
    assert len(turns) == 3
    prompt_tokens = [int(tokens) for tokens, _, _ in turns]
    assert prompt_tokens == sorted(set(prompt_tokens))
    assert {role for _, role, _ in turns} == {"assistant"}


def test_a_streamed_answer_arrives_in_pieces(live_server: LiveServer) -> None:
    output = program_2023("chat_stream", live_server)
    said = lines(output)
    assert said["first role"] == "assistant"
    assert said["finish reason"] in {"stop", "length"}
    pieces = re.findall(r"^Message received .* seconds after request: (.+)$", output, re.MULTILINE)
    assert len(pieces) > 2
    assert said["Full conversation received"] == repr("".join(map(ast.literal_eval, pieces)))


def test_the_playground_program_prints_a_text_completion(live_server: LiveServer) -> None:
    reply: dict[str, Any] = json.loads(program_2023("completion_playground", live_server))
    assert reply["object"] == "text_completion"
    assert reply["id"].startswith("cmpl-")
    assert reply["model"] == "text-davinci-003"
    assert_adds_up(reply["usage"])
    [choice] = reply["choices"]
    assert choice["logprobs"] is None
    assert isinstance(choice["text"], str)
    assert choice["finish_reason"] in {"stop", "length"}


def test_engine_with_2048_tokens_and_stop_none_is_answered(live_server: LiveServer) -> None:
    output = program_2023("completion_engine", live_server)
    assert len(re.findall(r"^(?:stop|length): ", output, re.MULTILINE)) == 2


def test_every_option_of_a_completion_is_honoured(live_server: LiveServer) -> None:
    said = lines(program_2023("completion_options", live_server))
    indexes, _, num_tokens = said["several"].rpartition(" ")
    assert indexes == "[0, 1, 2, 3]"
    assert 4 <= int(num_tokens) <= 20
    num_pieces, num_logprobs, first, offset = said["scored"].split()
    assert num_pieces == num_logprobs
    assert int(num_pieces) > 4
    assert (first, offset) == ("None", "0")
    assert said["echoed"] == "True"
    assert said["best"] in {"1 stop", "1 length"}
    assert said["banned"].startswith("text_completion babbage")
    assert said["streamed"] == "True"


@pytest.mark.parametrize("name", ["edit", "edit_engine"])
def test_an_edit_is_answered(live_server: LiveServer, name: str) -> None:
    reply: dict[str, Any] = json.loads(program_2023(name, live_server))
    assert reply["object"] == "edit"
    assert_is_recent(reply["created"])
    assert_adds_up(reply["usage"])
    [choice] = reply["choices"]
    assert choice["index"] == 0
    assert isinstance(choice["text"], str)


def test_models_and_engines_are_listed_under_the_names_of_2023(live_server: LiveServer) -> None:
    said = lines(program_2023("models", live_server))
    assert set(said["models"].split()) >= ALIASES_OF_2023
    assert said["first"] == "model list"
    assert said["model"].startswith("text-davinci-003 model ")
    assert said["engines"].startswith("list ")
    assert "davinci" in said["engines"].split()
    assert said["engine"] == "davinci engine True"


def test_calls_side_by_side_are_all_answered(live_server: LiveServer) -> None:
    said = lines(program_2023("asynchronous", live_server))
    assert said["answers"] == "3 True"
    assert isinstance(ast.literal_eval(said["stream"]), str)


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        ("wrong key", r"AuthenticationError 401 invalid_api_key None Incorrect API key provided: sk-0"),
        ("unknown model", r"InvalidRequestError 404 model_not_found None The model `gpt-nonesuch` does not exist"),
        ("no messages", r"InvalidRequestError 400 \S+ messages "),
        ("wrong type", r"InvalidRequestError 400 invalid_type max_tokens Invalid type for 'max_tokens'"),
        ("too hot", r"InvalidRequestError 400 decimal_above_max_value temperature "),
        ("unknown field", r"InvalidRequestError 400 None None Unrecognized request argument supplied: top_k"),
        (
            "too long",
            r"InvalidRequestError 400 context_length_exceeded messages This model's maximum context length is",
        ),
    ],
)
def test_each_failure_arrives_as_its_error_class(errors_of_2023: dict[str, str], case: str, expected: str) -> None:
    assert re.match(expected, errors_of_2023[case])
    assert errors_of_2023[f"{case} id"].startswith("req_")


@pytest.fixture(scope="module")
def errors_of_2023(live_server: LiveServer) -> dict[str, str]:
    return lines(program_2023("errors", live_server))


def test_the_command_line_streams_a_completion_after_its_prompt(live_server: LiveServer) -> None:
    words = ["-m", "text-davinci-003", "-t", "0", "-M", "7", "--stream"]
    output = command_2023(live_server, "api", "completions.create", "-p", "Say this is a test", *words)
    # Seven tokens are the tutorial's; a vocabulary may need an eighth for the full stop.
    assert output.strip().removesuffix(".") == "Say this is a test\n\nThis is a test"


def test_the_command_line_completes_without_streaming_as_it_does_with(live_server: LiveServer) -> None:
    words = ["api", "completions.create", "-p", "Say this is a test", "-m", "text-davinci-003", "-t", "0", "-M", "7"]
    assert command_2023(live_server, *words) == command_2023(live_server, *words, "--stream")


def test_the_command_line_takes_an_engine(live_server: LiveServer) -> None:
    output = command_2023(
        live_server, "api", "completions.create", "-e", "davinci", "-p", "Hello", "-M", "3", "-n", "2"
    )
    assert output.count("===== Completion ") == 2


@pytest.mark.parametrize("streaming", [[], ["--stream"]])
def test_the_command_line_chats(live_server: LiveServer, streaming: list[str]) -> None:
    words = [
        "-m",
        "gpt-3.5-turbo",
        "-g",
        "system",
        "Be brief.",
        "-g",
        "user",
        "Say hello world",
        "-M",
        "12",
        *streaming,
    ]
    assert command_2023(live_server, "api", "chat_completions.create", *words)


def test_the_command_line_lists_and_gets_models(live_server: LiveServer) -> None:
    listed = json.loads(command_2023(live_server, "api", "models.list"))
    assert {model["id"] for model in listed["data"]} >= ALIASES_OF_2023
    one = json.loads(command_2023(live_server, "api", "models.get", "-i", "gpt-3.5-turbo"))
    assert one["object"] == "model"
    assert one["permission"][0]["object"] == "model_permission"
    engines = json.loads(command_2023(live_server, "api", "engines.list"))
    assert engines["object"] == "list"
