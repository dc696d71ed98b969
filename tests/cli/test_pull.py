"""`parley pull`: from a name to a model that answers, against a hub on loopback."""

import asyncio
import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from parley.api.platform.control import ControlServer
from parley.cli.commands import parley
from parley.cli.pulling import recommended_models
from parley.core.clock import SystemClock
from parley.jobs.pull.reference import parse_reference
from parley.jobs.pull.repository import PullFailed
from parley.operations.first_start import ensure_owner
from parley.operations.records import open_records
from tests.builders_pull import COMMIT, TOKEN, FakeHub, Fault, fake_hub
from tests.builders_records import settings_in
from tests.builders_vision import LINES
from tests.gguf_maker import Shape, model_bytes
from tests.vision_maker import projector_bytes

MODEL = model_bytes(Shape(context_length=2048))
OTHER = model_bytes(Shape(context_length=2048, seed=2))
SHA256 = hashlib.sha256(MODEL).hexdigest()
FILES = {"tiny-Q4_K_M.gguf": MODEL, "tiny-Q8_0.gguf": OTHER, "README.md": b"# tiny\n"}


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    with fake_hub({"o/tiny-GGUF": dict(FILES), "files/bare": {"tiny.gguf": MODEL}}) as hub:
        yield hub


@pytest.fixture
def installation(tmp_path: Path) -> Path:
    """A data folder on which a server has started once."""
    folder = tmp_path / "d"

    async def start() -> None:
        async with open_records(settings_in(folder), SystemClock()) as records:
            await ensure_owner(records, None)

    asyncio.run(start())
    return folder


def run(hub: FakeHub, folder: Path, *arguments: str, **variables: str) -> Result:
    known = {"PARLEY_HUB_ENDPOINT": hub.url, "PARLEY_DATA": str(folder)}
    return CliRunner().invoke(parley, arguments, env=known | variables)


def in_a_process(hub: FakeHub, folder: Path, *arguments: str, **variables: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "parley.cli.main", *arguments],
        env=os.environ | {"PARLEY_HUB_ENDPOINT": hub.url, "PARLEY_DATA": str(folder)} | variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def models(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "models").iterdir() if not path.name.startswith("."))


def test_without_a_name_the_recommended_models_are_listed_without_asking_anybody(hub: FakeHub, tmp_path: Path) -> None:
    shown = run(hub, tmp_path / "none", "pull")
    assert shown.exit_code == 0
    assert "qwen2.5-0.5b" in shown.stdout
    assert "Apache-2.0" in shown.stdout
    assert hub.requests == []


def test_a_pulled_model_is_in_the_catalog_read_only_and_answers_the_stand_ins(hub: FakeHub, installation: Path) -> None:
    done = run(hub, installation, "pull", "o/tiny-GGUF")
    assert done.exit_code == 0, done.stderr
    assert f"hf://o/tiny-GGUF@{COMMIT}/tiny-Q4_K_M.gguf: " in done.stderr
    assert "licence apache-2.0" in done.stderr
    assert models(installation) == [f"{SHA256}.gguf"]
    file = installation / "models" / f"{SHA256}.gguf"
    assert file.read_bytes() == MODEL
    assert file.stat().st_mode & 0o777 == 0o400
    shown = run(hub, installation, "models", "show", "tiny-Q4_K_M").stdout
    assert f"source          hf://o/tiny-GGUF@{COMMIT}/tiny-Q4_K_M.gguf" in shown
    assert "licence         apache-2.0" in shown
    assert "answered by     tiny-Q4_K_M-" in run(hub, installation, "models", "show", "gpt-4").stdout
    assert list((installation / "models" / ".pull").iterdir()) == [installation / "models" / ".pull" / "lock"]


async def test_a_running_server_has_the_model_at_once(hub: FakeHub, tmp_path: Path) -> None:
    folder = tmp_path / "d"
    async with open_records(settings_in(folder), SystemClock()) as records:
        await ensure_owner(records, None)
        async with ControlServer(records, url="http://127.0.0.1:8000", in_use=lambda _: False):
            done = await asyncio.to_thread(run, hub, folder, "pull", "o/tiny-GGUF:Q8_0", "--name", "mine")
            assert done.exit_code == 0, done.stderr
            assert records.catalog.resolve("gpt-4").weights.name.startswith("mine-")


def test_a_quantisation_a_file_and_a_url_of_the_hub_lead_to_what_they_name(hub: FakeHub, installation: Path) -> None:
    for name in (
        "o/tiny-GGUF:q8_0",
        "hf://o/tiny-GGUF/tiny-Q8_0.gguf",
        f"{hub.url}/o/tiny-GGUF/blob/main/tiny-Q8_0.gguf",
    ):
        done = run(hub, installation, "pull", name)
        assert done.exit_code == 0, done.stderr
        assert models(installation) == [f"{hashlib.sha256(OTHER).hexdigest()}.gguf"]


def test_what_is_here_is_not_fetched_again(hub: FakeHub, installation: Path) -> None:
    run(hub, installation, "pull", "o/tiny-GGUF")
    hub.requests.clear()
    assert run(hub, installation, "pull", "o/tiny-GGUF").exit_code == 0
    assert hub.bodies_asked_for() == []


def test_a_url_is_pulled_and_its_hash_is_pinned(hub: FakeHub, installation: Path) -> None:
    done = run(hub, installation, "pull", f"{hub.url}/files/tiny.gguf?signature=s3cret")
    assert done.exit_code == 0, done.stderr
    assert "--sha256 would have it checked" in done.stderr
    assert models(installation) == [f"{SHA256}.gguf"]
    assert "s3cret" not in done.output + (installation / "catalog.toml").read_text()


def test_a_url_that_does_not_hash_to_what_was_said_leaves_nothing(hub: FakeHub, installation: Path) -> None:
    done = run(hub, installation, "pull", f"{hub.url}/files/tiny.gguf", "--sha256", "0" * 64)
    assert done.exit_code == 1
    assert "tiny.gguf is not what was promised: its sha256 differs; it was removed" in done.stderr
    assert models(installation) == []
    assert list((installation / "models").rglob("*.gguf*")) == []
    assert run(hub, installation, "pull", f"{hub.url}/files/tiny.gguf", "--sha256", SHA256.upper()).exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nonsense"], "'nonsense' is none of the recommended models"),
        (["o/none-GGUF"], "o/none-GGUF does not exist, or is not open to everybody"),
        (["o/tiny-GGUF:Q2_K"], "o/tiny-GGUF has no Q2_K; it has Q4_K_M (0.00 GB), Q8_0 (0.00 GB)"),
        (["o/tiny-GGUF:model.pt"], "can hold code"),
        (["o/tiny-GGUF", "--name", "../up"], "--name"),
        (["o/tiny-GGUF", "--name", "gpt-4"], "that name stands in for OpenAI's; choose another with --name"),
        (["o/tiny-GGUF", "--template", "jinja"], "there is no template 'jinja'"),
        (["o/tiny-GGUF", "--sha256", SHA256], "--sha256 is for URLs"),
        (["https://127.0.0.1/x.gguf"], "127.0.0.1 is not a public address"),
        (["http://public.example/x.gguf"], "is not https"),
    ],
)
def test_what_cannot_be_pulled_is_one_line_and_fetches_no_file(
    hub: FakeHub, installation: Path, arguments: list[str], said: str
) -> None:
    done = run(hub, installation, "pull", *arguments)
    assert done.exit_code == 1
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert hub.bodies_asked_for() == []
    assert models(installation) == []


def test_without_a_network_the_reason_is_one_line(hub: FakeHub, installation: Path) -> None:
    nobody = {"PARLEY_HUB_ENDPOINT": "https://hub.invalid", "PARLEY_HUB_TOKEN": TOKEN}
    process = in_a_process(hub, installation, "pull", "o/tiny-GGUF", **nobody)
    out, error = process.communicate(timeout=60)
    assert process.returncode == 1
    assert out == ""
    assert error == "parley: hub.invalid is not known here: is there a network?\n"


def test_a_gated_model_is_pulled_with_the_token_that_the_setting_holds(hub: FakeHub, installation: Path) -> None:
    hub.repositories["o/tiny-GGUF"].is_gated = True
    assert "is gated: accept its terms" in run(hub, installation, "pull", "o/tiny-GGUF").stderr
    done = run(hub, installation, "pull", "o/tiny-GGUF", PARLEY_HUB_TOKEN=TOKEN)
    assert done.exit_code == 0, done.stderr
    assert TOKEN not in done.output


def test_a_file_that_is_no_whole_model_is_never_seen(hub: FakeHub, installation: Path) -> None:
    hub.repositories["o/tiny-GGUF"].files = {"broken-Q4_0.gguf": MODEL[:2000]}
    done = run(hub, installation, "pull", "o/tiny-GGUF")
    assert done.exit_code == 1
    assert "broken-Q4_0.gguf: " in done.stderr.splitlines()[-1]
    assert models(installation) == []
    assert "broken" not in (installation / "catalog.toml").read_text()


def test_a_mistake_in_an_option_does_not_cost_a_second_download(hub: FakeHub, installation: Path) -> None:
    done = run(hub, installation, "pull", "o/tiny-GGUF", "--context", "100000")
    assert "was made for 2048 tokens" in done.stderr
    assert models(installation) == []
    hub.requests.clear()
    assert run(hub, installation, "pull", "o/tiny-GGUF").exit_code == 0
    assert hub.bodies_asked_for() == []
    assert models(installation) == [f"{SHA256}.gguf"]


def test_ctrl_c_leaves_no_model_and_the_next_pull_goes_on(hub: FakeHub, installation: Path) -> None:
    big = MODEL + bytes(3 << 20)
    hub.repositories["o/tiny-GGUF"].files = {"tiny-Q4_K_M.gguf": big}
    hub.faults = [Fault(cut_after=(2 << 20) + 100, is_stalling=True)]
    process = in_a_process(hub, installation, "pull", "o/tiny-GGUF")
    staging = installation / "models" / ".pull"
    while not any(part.stat().st_size for part in staging.glob("*/*.part")):
        assert process.poll() is None, process.communicate()
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "What has come so far is kept" in error
    assert "Traceback" not in error
    assert models(installation) == []
    hub.requests.clear()
    done = run(hub, installation, "pull", "o/tiny-GGUF")
    assert done.exit_code == 0, done.stderr
    (asked,) = hub.bodies_asked_for()
    assert asked is not None
    assert models(installation) == [f"{hashlib.sha256(big).hexdigest()}.gguf"]


def test_a_full_disk_is_one_line_and_keeps_what_came(hub: FakeHub, installation: Path) -> None:
    """The kernel refuses each byte past the limit, as a full disk does."""
    big = MODEL + bytes(6 << 20)
    hub.repositories["o/tiny-GGUF"].files = {"tiny-Q4_K_M.gguf": big}
    program = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (3 << 20, resource.RLIM_INFINITY))\n"
        "sys.argv = ['parley', 'pull', 'o/tiny-GGUF']\n"
        "from parley.cli.main import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"PARLEY_HUB_ENDPOINT": hub.url, "PARLEY_DATA": str(installation)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert done.stderr.splitlines()[-1].endswith(
        "cannot be kept in " + str(installation / "models") + ": File too large; what has come so far is kept"
    )
    assert models(installation) == []
    hub.requests.clear()
    assert run(hub, installation, "pull", "o/tiny-GGUF").exit_code == 0
    (asked,) = hub.bodies_asked_for()
    assert asked is not None


def test_two_pulls_of_one_model_at_once_end_with_one_model(hub: FakeHub, installation: Path) -> None:
    big = MODEL + bytes(2 << 20)
    hub.repositories["o/tiny-GGUF"].files = {"tiny-Q4_K_M.gguf": big}
    both = [in_a_process(hub, installation, "pull", "o/tiny-GGUF") for _ in range(2)]
    said = [process.communicate(timeout=60)[1] for process in both]
    codes = [process.returncode for process in both]
    assert 0 in codes, said
    for code, words in zip(codes, said, strict=True):
        assert code == 0 or "another pull" in words or "in use by another Parley process" in words
    assert models(installation) == [f"{hashlib.sha256(big).hexdigest()}.gguf"]


def at_a_terminal(hub: FakeHub, folder: Path, answer: str) -> tuple[int, str]:
    """Pull at a terminal on which somebody types `answer` when asked; the exit code and what the terminal showed."""
    ours, theirs = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "parley.cli.main", "pull", "o/tiny-GGUF"],
        env=os.environ | {"PARLEY_HUB_ENDPOINT": hub.url, "PARLEY_DATA": str(folder)},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    shown, has_answered = "", False
    while True:
        try:
            piece = os.read(ours, 4096)
        except OSError:
            # The terminal has nobody left on its other side.
            break
        shown += piece.decode(errors="replace")
        if not has_answered and "Which one" in shown:
            os.write(ours, f"{answer}\n".encode())
            has_answered = True
    os.close(ours)
    return process.wait(60), shown


@pytest.mark.parametrize(("answer", "taken"), [("", MODEL), ("q8_0", OTHER)])
def test_at_a_terminal_the_quantisation_is_asked_for(
    hub: FakeHub, installation: Path, answer: str, taken: bytes
) -> None:
    code, shown = at_a_terminal(hub, installation, answer)
    assert code == 0, shown
    assert "Which one [Q4_K_M]" in shown
    assert models(installation) == [f"{hashlib.sha256(taken).hexdigest()}.gguf"]


def traversals(target: Path) -> list[str]:
    """Ways to write a path to `target` where a name is expected."""
    ups = ["../" * depth for depth in range(1, 9)]
    plain = [str(target), f"file://{target}", f"//{target}", f"~/../..{target}", f"models/../../{target.name}"]
    relative = [
        up + part for up in ups for part in (target.name, f"{target.parent.name}/{target.name}", str(target)[1:])
    ]
    quoted = [
        text.replace("../", other)
        for text in relative
        for other in ("..%2f", "..\\", "....//", "%2e%2e/", ".%00./", "..;/")
    ]
    return plain + relative + quoted


def test_j6_no_name_opens_a_file_outside_of_the_data_folder(
    hub: FakeHub, installation: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    canary = tmp_path / "canary.gguf"
    canary.write_bytes(MODEL)
    opened = list[str]()
    is_watching = True

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        if is_watching and event == "open" and "canary" in str(arguments[0]):
            opened.append(str(arguments[0]))

    # An audit hook cannot be taken away again; it is told to look no more.
    sys.addaudithook(watch)
    monkeypatch.chdir(tmp_path)
    names = traversals(canary)
    assert len(names) > 160
    for name in names:
        for text in (name, f"o/tiny-GGUF:{name}", f"hf://o/tiny-GGUF/{name}", f"o/tiny-GGUF@{name}"):
            with pytest.raises(PullFailed):
                parse_reference(text, recommended_models(), endpoint=hub.url)
    # The whole way of a name takes longer; some of each kind go it.
    for name in names[::8]:
        fields = (
            ["pull", name],
            ["pull", "o/tiny-GGUF", "--name", name],
            ["models", "show", name],
            ["models", "remove", name],
        )
        for arguments in fields:
            assert run(hub, installation, *arguments).exit_code != 0, arguments
    is_watching = False
    assert opened == []
    assert canary.read_bytes() == MODEL
    assert models(installation) == []


SEER = model_bytes(replace(LINES.shape, context_length=2048))
SIGHTED = {
    "seer-Q8_0.gguf": SEER,
    "mmproj-seer-f32.gguf": projector_bytes(replace(LINES.eye, seed=3)),
    "mmproj-seer-f16.gguf": projector_bytes(LINES.eye),
    "mmproj-seer.safetensors": b"no",
}


def test_a_projector_comes_along_and_the_model_takes_images(installation: Path) -> None:
    with fake_hub({"o/seer-GGUF": dict(SIGHTED)}) as hub:
        pulled = run(hub, installation, "pull", "o/seer-GGUF", "--yes", "--name", "seer")
        assert pulled.exit_code == 0, pulled.stderr
        assert "with mmproj-seer-f16.gguf" in pulled.stderr
        assert models(installation) == sorted(
            f"{hashlib.sha256(SIGHTED[name]).hexdigest()}.gguf" for name in ("seer-Q8_0.gguf", "mmproj-seer-f16.gguf")
        )
        assert "vision" in run(hub, installation, "models", "show", "seer").stdout
        # Both are here now.
        hub.requests.clear()
        assert run(hub, installation, "pull", "o/seer-GGUF", "--yes", "--name", "seer").exit_code == 0
        assert hub.bodies_asked_for() == []


def test_a_projector_may_be_left_out(installation: Path) -> None:
    with fake_hub({"o/seer-GGUF": dict(SIGHTED)}) as hub:
        assert run(hub, installation, "pull", "o/seer-GGUF", "--yes", "--name", "seer", "--text-only").exit_code == 0
        assert models(installation) == [f"{hashlib.sha256(SEER).hexdigest()}.gguf"]
        assert "vision" not in run(hub, installation, "models", "show", "seer").stdout


def test_a_projector_that_does_not_fit_is_said_and_nothing_is_added(installation: Path) -> None:
    misfit = SIGHTED | {"mmproj-seer-f16.gguf": projector_bytes(replace(LINES.eye, text_width=32))}
    with fake_hub({"o/seer-GGUF": misfit}) as hub:
        refused = run(hub, installation, "pull", "o/seer-GGUF", "--yes", "--name", "seer")
        assert refused.exit_code == 1
        assert "does not see for" in refused.stderr
        assert models(installation) == []
