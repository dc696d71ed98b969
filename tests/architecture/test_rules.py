"""The rules themselves can fail: each finds its violation in a small bad sample, and nothing in a good one."""

from pathlib import Path

import pytest

from tests.architecture import rules


def sample(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return folder


def test_a_file_of_501_lines_is_too_long(tmp_path: Path) -> None:
    sample(tmp_path, "long.py", "x = 1\n" * 501)
    sample(tmp_path, "full.py", "x = 1\n" * 500)
    assert rules.too_long(tmp_path) == ["long.py has 501 lines, 500 at most"]


def test_what_others_wrote_into_a_hidden_folder_is_none_of_ours(tmp_path: Path) -> None:
    sample(tmp_path, ".cache/peer/long.py", "x = 1\n" * 501)
    assert rules.too_long(tmp_path) == []


@pytest.mark.parametrize("text", ["x = 1\n", '"""\nLater."""\n', "# only a comment\n"])
def test_a_module_without_a_first_line_is_found(tmp_path: Path, text: str) -> None:
    assert len(rules.without_first_line(sample(tmp_path, "silent.py", text))) == 1


def test_an_empty_init_and_a_module_that_speaks_are_good(tmp_path: Path) -> None:
    sample(tmp_path, "__init__.py", "")
    sample(tmp_path, "speaking.py", '"""Says what it is for."""\n')
    assert rules.without_first_line(tmp_path) == []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("utils.py", ""),
        ("base.py", ""),
        ("key_helper.py", ""),
        ("keys.py", "class KeyManager: ..."),
        ("keys.py", "class HTTPInfo: ..."),
        ("keys.py", "def folder_data(): ..."),
        ("keys.py", "def process_key(): ..."),
        ("keys.py", "async def handle(): ..."),
        ("serving/keys.py", "class KeyService: ..."),
    ],
)
def test_a_name_that_says_nothing_is_found(tmp_path: Path, name: str, text: str) -> None:
    assert len(rules.banned_names(sample(tmp_path, name, text))) == 1


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("keys.py", "class Metadata: ..."),
        ("keys.py", "def inform(): ..."),
        ("folder.py", "class DataFolder: ..."),
        ("api/keys.py", "async def handle(): ..."),
        ("domain/service.py", "class KeyService: ..."),
        ("subprocesses.py", "def start_process(): ..."),
    ],
)
def test_a_name_from_the_glossary_is_good(tmp_path: Path, name: str, text: str) -> None:
    assert rules.banned_names(sample(tmp_path, name, text)) == []


@pytest.mark.parametrize(
    "text",
    [
        "import torch",
        "def f():\n    from xllamacpp import Server",
        "import importlib\nimportlib.import_module('av.audio')",
    ],
)
def test_a_model_runtime_outside_workers_is_found(tmp_path: Path, text: str) -> None:
    assert len(rules.runtime_imports(sample(tmp_path, "infra/media.py", text))) == 1


def test_a_model_runtime_in_a_worker_is_good(tmp_path: Path) -> None:
    sample(tmp_path, "workers/llama.py", "import xllamacpp")
    sample(tmp_path, "infra/media.py", "import avro\nword = 'torch'")
    assert rules.runtime_imports(tmp_path) == []


@pytest.mark.parametrize(
    "caught", ["except Exception:", "except BaseException as e:", "except:", "except (ValueError, Exception):"]
)
def test_a_broad_catch_is_found_by_its_function(tmp_path: Path, caught: str) -> None:
    text = f"def outer():\n    def inner():\n        try:\n            pass\n        {caught}\n            pass\n"
    assert rules.broad_catches(sample(tmp_path, "loop.py", text), {}) == ["loop.py::inner (line 5) catches everything"]
    assert rules.broad_catches(tmp_path, {"loop.py::inner": "the outermost loop"}) == []


def test_a_narrow_catch_is_good_and_a_stale_exception_to_the_rule_is_found(tmp_path: Path) -> None:
    sample(tmp_path, "loop.py", "try:\n    pass\nexcept (OSError, ValueError):\n    pass\n")
    sample(tmp_path, "undo.py", "try:\n    pass\nexcept BaseException:\n    x = 1\n    raise\n")
    assert rules.broad_catches(tmp_path, {}) == []
    assert rules.broad_catches(tmp_path, {"loop.py::run": "gone"}) == [
        "loop.py::run is listed and catches nothing broad"
    ]


@pytest.mark.parametrize(
    "line",
    [
        "see /wo" + "rk/notes",
        "cd /wo" + "rk",
        "/ro" + "ot/.cache",
        "as ../sha" + "red says",
        "as DES" + "IGN.md says",
        "from https://pypi.o" + "rg/simple",
        "--find-links file:///o" + "pt/wheels",
    ],
)
def test_a_line_that_names_what_a_reader_cannot_have_is_found(line: str) -> None:
    assert len(rules.forbidden_text("notes.md", f"first\n{line}\n")) == 1


@pytest.mark.parametrize(
    "line", ["src/parley/workers/llama.py", "/workers", "a/work/of/art", "GET / is the root", "tests/errors.md"]
)
def test_an_ordinary_line_is_good(line: str) -> None:
    assert rules.forbidden_text("notes.md", line) == []
