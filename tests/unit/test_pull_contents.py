"""What files are by their content: code is refused whatever it is called."""

import json
import pickle
import struct
import zipfile
from pathlib import Path

import pytest

from parley.jobs.pull.contents import refuse_code
from parley.jobs.pull.repository import Digest, DigestKind, PullFailed


class Payload:
    """Unpickling it writes a file."""

    def __init__(self, sentinel: Path) -> None:
        self.sentinel = sentinel

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self.sentinel,)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("name", ["model.gguf", "model.safetensors", "model.bin", "vocabulary.txt"])
def test_j5_a_pickle_is_refused_whatever_it_is_called_and_never_run(tmp_path: Path, name: str, protocol: int) -> None:
    path, sentinel = tmp_path / name, tmp_path / "sentinel"
    path.write_bytes(pickle.dumps(Payload(sentinel), protocol=protocol))
    with pytest.raises(PullFailed, match="pickle"):
        refuse_code(path)
    assert not sentinel.exists()


def test_j5_an_archive_as_torch_writes_it_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(1))
    with pytest.raises(PullFailed, match="pickle"):
        refuse_code(path)


@pytest.mark.parametrize("name", ["model.gguf", "model.safetensors"])
def test_j5_a_file_that_is_not_what_its_name_says_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"<!doctype html><title>Sign in</title>")
    with pytest.raises(PullFailed, match="whatever its name says"):
        refuse_code(path)


@pytest.mark.parametrize("settings", [{"auto_map": {"AutoModel": "evil.Model"}}, {"trust_remote_code": True}])
def test_j4_settings_that_ask_for_the_models_own_code_are_refused(tmp_path: Path, settings: dict[str, object]) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"model_type": "whisper"} | settings))
    with pytest.raises(PullFailed, match="code of the model's own"):
        refuse_code(path)


def test_files_of_the_kinds_that_are_taken_pass(tmp_path: Path) -> None:
    header = b'{"__metadata__":{}}'
    contents = {
        "model.gguf": b"GGUF\3\0\0\0 and so on",
        "model.safetensors": struct.pack("<Q", len(header)) + header,
        "config.json": b'{"model_type": "whisper"}',
        "vocabulary.json": b'["a", "b"]',
        "vocabulary.txt": b"a\nb\n",
        # CTranslate2's own form begins with its version.
        "model.bin": struct.pack("<I", 6) + b"...",
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
        refuse_code(tmp_path / name)


def test_a_digest_knows_the_hub_s_two_ways_of_hashing(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"hello\n")
    # As `git hash-object` and `sha256sum` print them.
    git = Digest(DigestKind.GIT_BLOB, "ce013625030ba8dba906f756967f9e9ca394464a")
    sha256 = Digest(DigestKind.SHA256, "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03")
    assert git.matches(path)
    assert sha256.matches(path)
    path.write_bytes(b"hello!")
    assert not git.matches(path)
    assert not sha256.matches(path)
