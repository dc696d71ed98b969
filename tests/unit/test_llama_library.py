"""Which llama.cpp is loaded: the wheel's, or a build for this processor that is what it says."""

import json
from pathlib import Path

import pytest

from parley.core.llama_library import (
    BUILT_LIBRARY,
    DESCRIPTION,
    SUPPORTED_VERSION,
    Unsupported,
    library_identity,
    library_path,
    processor_features,
)

ENOUGH = "processor\t: 0\nmodel name\t: One\nflags\t\t: fpu sse avx2 avx512f\n\nprocessor\t: 1\nflags\t\t: fpu\n"


def build(folder: Path, **described: object) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / DESCRIPTION).write_text(json.dumps({"version": SUPPORTED_VERSION, "features": ["avx2"]} | described))
    return folder


def processors(folder: Path, text: str = ENOUGH) -> Path:
    path = folder / "cpuinfo"
    path.write_text(text)
    return path


def test_without_a_build_it_is_the_wheels() -> None:
    assert library_path().name == "xllamacpp.abi3.so"
    assert library_path().is_file()


def test_a_build_for_this_processor_is_taken(tmp_path: Path) -> None:
    assert library_path(build(tmp_path / "b"), processors(tmp_path)) == tmp_path / "b" / BUILT_LIBRARY


def test_a_build_for_a_processor_that_can_more_is_refused_with_what_is_missing(tmp_path: Path) -> None:
    folder = build(tmp_path / "b", features=["avx2", "amx_int8"])
    with pytest.raises(Unsupported, match=r"another processor, which has amx_int8$"):
        library_path(folder, processors(tmp_path))


def test_where_the_kernel_does_not_say_what_the_processor_can_no_build_is_taken(tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match="another processor"):
        library_path(build(tmp_path / "b"), tmp_path / "nothing")


def test_a_build_of_another_version_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match=f"built of xllamacpp 2020.1.1, not {SUPPORTED_VERSION}"):
        library_path(build(tmp_path / "b", version="2020.1.1"), processors(tmp_path))


@pytest.mark.parametrize("described", ["", "[]", '{"version": "1"}', '{"version": "1", "features": 3}'])
def test_a_folder_that_holds_no_build_is_refused_by_its_name(tmp_path: Path, described: str) -> None:
    (tmp_path / DESCRIPTION).write_text(described)
    with pytest.raises(Unsupported, match=f"{tmp_path} holds no llama.cpp"):
        library_path(tmp_path, processors(tmp_path))


@pytest.mark.parametrize(
    ("text", "features"),
    [
        (ENOUGH, ["avx2", "avx512f", "fpu", "sse"]),
        ("processor\t: 0\nFeatures\t: fp asimd\n", ["asimd", "fp"]),
        ("nothing of the kind\n", []),
    ],
)
def test_what_the_processor_can_is_read_as_the_kernel_says_it(tmp_path: Path, text: str, features: list[str]) -> None:
    assert processor_features(processors(tmp_path, text)) == features


def test_builds_that_may_choose_other_tokens_are_told_apart(tmp_path: Path) -> None:
    one, other = build(tmp_path / "one"), build(tmp_path / "other", features=["avx512f"])
    identities = {library_identity(), library_identity(one), library_identity(other), library_identity(tmp_path / "no")}
    assert len(identities) == 4
    assert all(SUPPORTED_VERSION in identity for identity in identities)
    assert library_identity(one) == library_identity(build(tmp_path / "one again"))
