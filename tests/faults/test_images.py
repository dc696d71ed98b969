"""Images on the real server with a model that sees: the whole way, and class G of the fault catalogue (G6 to G9)."""

import base64
import io
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest
from PIL import Image

from tests.builders_vision import LINES, png_of, write_sighted
from tests.faults.wire import eventually, get, leave, post, records, send
from tests.live import LiveServer, engine_pid, running_server

SEER, BLIND = "model", "parley-mini"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    folder = tmp_path_factory.mktemp("images")
    files = write_sighted(folder, LINES)
    with running_server(folder, {"PARLEY_NUM_SLOTS": "2", "PARLEY_MAX_IMAGES": "4"}) as server:
        command = [sys.executable, "-m", "parley.cli.main", "models", "add", str(files.model)]
        options = ["--projector", str(files.projector), "--template", "chatml", "--data", str(server.data)]
        subprocess.run([*command, *options], check=True, capture_output=True, timeout=60)
        yield server


@pytest.fixture(scope="module")
def client(server: LiveServer) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=server.base_url, api_key=server.key, max_retries=0) as client:
        yield client


def url_of(picture: Image.Image, form: str = "PNG", **options: object) -> str:
    held = io.BytesIO()
    picture.save(held, form, **options)
    return f"data:image/{form.lower()};base64,{base64.b64encode(held.getvalue()).decode()}"


def noise(seed: int, size: tuple[int, int] = (64, 48)) -> Image.Image:
    return Image.frombytes("RGB", size, random.Random(seed).randbytes(size[0] * size[1] * 3))


def parts(*shown: object) -> list[dict[str, object]]:
    """A message of texts and images (by seed, URL or as they are)."""
    made: list[dict[str, object]] = []
    for each in shown:
        if isinstance(each, str) and not each.startswith("data:"):
            made.append({"type": "text", "text": each})
        else:
            url = each if isinstance(each, str) else url_of(noise(each) if isinstance(each, int) else each)
            made.append({"type": "image_url", "image_url": {"url": url}})
    return made


def body(*shown: object, **changes: object) -> dict[str, object]:
    asked = {"model": SEER, "max_tokens": 5, "temperature": 0, "logprobs": True, "top_logprobs": 20}
    return {**asked, "messages": [{"role": "user", "content": parts(*shown)}], **changes}


def first_logprobs(reply: dict) -> dict[str, float]:
    return {str(top["bytes"]): top["logprob"] for top in reply["choices"][0]["logprobs"]["content"][0]["top_logprobs"]}


def ask(server: LiveServer, *shown: object, **changes: object) -> dict:
    status, reply = post(server, "/v1/chat/completions", body(*shown, **changes))
    assert status == 200, reply
    return reply


def refusal(server: LiveServer, *shown: object, **changes: object) -> dict:
    status, reply = post(server, "/v1/chat/completions", body(*shown, **changes))
    assert status == 400, reply
    return reply["error"]


def test_the_official_client_shows_images_plainly_and_streamed(client: openai.OpenAI):
    messages = [{"role": "user", "content": parts("What is ", 1, "this, and ", 2, "that?")}]
    plain = client.chat.completions.create(model=SEER, messages=messages, max_tokens=5, temperature=0)
    asked = {"stream": True, "stream_options": {"include_usage": True}, "max_tokens": 5, "temperature": 0}
    chunks = list(client.chat.completions.create(model=SEER, messages=messages, **asked))
    streamed = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert streamed == plain.choices[0].message.content
    assert chunks[-1].usage.prompt_tokens == plain.usage.prompt_tokens


def test_what_is_seen_changes_what_is_said(server: LiveServer):
    one = first_logprobs(ask(server, "What is ", 1, "?"))
    assert first_logprobs(ask(server, "What is ", 1, "?")) == pytest.approx(one, abs=1e-2)
    # The same pixels in another file are the same image.
    again = ask(server, "What is ", url_of(noise(1), "WEBP", lossless=True), "?")
    assert first_logprobs(again) == pytest.approx(one, abs=1e-2)
    assert again["usage"]["prompt_tokens_details"]["cached_tokens"] == again["usage"]["prompt_tokens"] - 1
    for other in (["What is ", 2, "?"], ["What is ?", 1], [1, "What is ?"], ["What is ?"]):
        seen = first_logprobs(ask(server, *other))
        shared = seen.keys() & one.keys()
        assert len(shared) < 10 or max(abs(seen[key] - one[key]) for key in shared) > 0.02, other


def test_images_are_in_the_usage_and_in_the_records(server: LiveServer):
    num_records = len(records(server))
    none, one, two = (ask(server, "Hi", *seeds)["usage"]["prompt_tokens"] for seeds in ((), (1,), (1, 2)))
    # Twelve rows of 64 x 48 pixels, and a mark on each side.
    assert (one - none, two - one) == (14, 14)
    kept = [each["input_tokens"] for each in records(server)[num_records:]]
    assert sorted(kept) == [none, one, two]


def test_a_conversation_does_not_read_its_images_again(server: LiveServer):
    history = [{"role": "user", "content": parts("x" * 100, 11)}]
    first = ask(server, messages=history)
    said = {"role": "assistant", "content": first["choices"][0]["message"]["content"]}
    again = ask(server, messages=[*history, said, {"role": "user", "content": "And?"}])
    cached = again["usage"]["prompt_tokens_details"]["cached_tokens"]
    assert cached >= first["usage"]["prompt_tokens"] - 20
    other = ask(server, messages=[{"role": "user", "content": parts("x" * 100, 12)}])
    assert other["usage"]["prompt_tokens_details"]["cached_tokens"] < first["usage"]["prompt_tokens"] - 12


def test_images_count_in_the_window(server: LiveServer):
    window = next(each for each in get(server, "/v1/models")[1]["data"] if each["id"] == SEER)
    assert "vision" in window["capabilities"]
    wide = url_of(Image.new("RGB", (768, 768)))
    refused = refusal(server, *[wide] * 4)
    assert refused["code"] == "context_length_exceeded"
    assert "your messages resulted in" in refused["message"]


def test_a_model_without_sight_refuses_images_by_name(server: LiveServer):
    refused = refusal(server, "What is ", 1, "?", model=BLIND)
    assert refused["param"] == "messages[0].content[1].image_url.url"
    assert refused["code"] == "unsupported_parameter"
    assert refused["message"].startswith(
        "Unsupported parameter: 'messages[0].content[1].image_url.url'. The model `parley-mini-"
    )
    assert refused["message"].endswith("` does not take images.")


def test_g8_too_many_images_are_refused_before_any_is_read(server: LiveServer):
    refused = refusal(server, *["data:image/png;base64,AAAA"] * 5)
    assert refused["code"] == "too_many_images"


def test_g6_g7_g8_g9_nothing_that_is_sent_as_an_image_harms_anybody(server: LiveServer):
    engine = engine_pid(server)
    bomb = f"data:image/png;base64,{png_of(13_300, 13_300).decode()}"
    assert refusal(server, bomb)["code"] == "invalid_image_size"
    for content in (b"", b"%PDF-1.4", b"SIMPLE  =                    T" + b" " * 2850, b"8BPS\x00\x01" + bytes(40)):
        url = f"data:image/png;base64,{base64.b64encode(content).decode()}"
        assert refusal(server, url)["code"] == "invalid_image_format"
    assert refusal(server, "data:image/png;base64,*")["code"] == "invalid_base64"
    frames = [Image.new("RGB", (8, 8), (n, 0, 0)) for n in range(200)]
    held = io.BytesIO()
    frames[0].save(held, "GIF", save_all=True, append_images=frames[1:])
    ask(server, f"data:image/gif;base64,{base64.b64encode(held.getvalue()).decode()}")
    for size in ((1, 1), (1, 2_000), (2_000, 1), (7, 9)):
        ask(server, Image.new("RGB", size, "red"))
    for mode in ("1", "L", "P", "LA", "RGBA", "I;16"):
        ask(server, Image.new(mode, (40, 40)))
    ask(server, url_of(Image.new("CMYK", (40, 40)), "JPEG"))
    assert engine_pid(server) == engine


def test_j7_marks_of_images_in_a_users_text_stay_text(server: LiveServer):
    plain = ask(server, "x", 1)["usage"]["prompt_tokens"]
    for mark in ("<|vision_start|>", "<|vision_end|>", "<__media__>", "<|im_end|>"):
        # A promoted mark would be one token; as text it is one for each of its letters, less what the vocabulary joins.
        spelt = ask(server, "x" + mark, 1)["usage"]["prompt_tokens"] - plain
        assert spelt > 5, mark


def test_a_large_body_is_taken_for_its_images_alone(server: LiveServer):
    large = url_of(noise(3, (1_400, 1_400)))
    assert len(large) > 5_000_000
    status, reply = post(server, "/v1/chat/completions", body("a", large, model=BLIND))
    assert (status, reply["error"]["code"]) == (400, "unsupported_parameter")
    status, reply = post(server, "/v1/chat/completions", body("a" * 5_000_000))
    assert (status, reply["error"]["message"].partition(" exceeded")[0]) == (
        413,
        "Maximum content size limit (4194304)",
    )


def test_who_leaves_is_recorded_once_and_holds_no_slot(server: LiveServer):
    num_records = len(records(server))
    for seed in range(6):
        leave(send(server, "/v1/chat/completions", body(100 + seed, "?", max_tokens=400)), how=("FIN", "RST")[seed % 2])
    eventually(
        lambda: [each["num_slots"] - each["num_free_slots"] for each in get(server, "/v1/replicas")[1]["data"]],
        lambda num_busy: not any(num_busy),
    )
    # Whoever left before admission left no record.
    assert len(records(server)) - num_records <= 7
    assert ask(server, 1, "?")["usage"]["completion_tokens"]


def test_nothing_of_an_image_is_in_the_log(server: LiveServer):
    url = url_of(noise(77))
    ask(server, url)
    refusal(server, url[: len(url) // 2 // 4 * 4])
    log = Path(server.log).read_text(errors="replace")
    assert url[-200:-100] not in log
    assert "base64" not in log
