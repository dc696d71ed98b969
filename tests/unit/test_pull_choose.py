"""Which quantisation of a repository is taken."""

import pytest

from parley.jobs.pull.choose import MEMORY_BESIDE_WEIGHTS_BYTES, default_offer, find_offer, offers, quantisation_of
from parley.jobs.pull.repository import Digest, DigestKind, PullFailed, RemoteFile, Repository

GB = 10**9


def repository(**sizes: int) -> Repository:
    """A repository whose files are named so, in gigabytes; `__` stands for a dot."""
    files = tuple(
        RemoteFile(
            path=name.replace("__", "."), url="https://h/", size=size * GB, digest=Digest(DigestKind.SHA256, "0" * 64)
        )
        for name, size in sizes.items()
    )
    return Repository(name="o/r", commit="0" * 40, files=files)


def of(*paths: str) -> Repository:
    return repository(**{path.replace(".", "__"): number for number, path in enumerate(paths, 1)})


@pytest.mark.parametrize(
    ("stem", "expected"),
    [
        ("Qwen2.5-7B-Instruct-Q4_K_M", "Q4_K_M"),
        ("qwen2.5-0.5b-instruct-q8_0", "Q8_0"),
        ("model.IQ4_XS", "IQ4_XS"),
        ("sub/llama-f16", "F16"),
        ("gpt-oss-20b-mxfp4", "MXFP4"),
        ("m-UD-Q4_K_XL", "UD-Q4_K_XL"),
        ("just-a-model", "just-a-model"),
    ],
)
def test_the_quantisation_stands_in_a_files_name(stem: str, expected: str) -> None:
    assert quantisation_of(stem) == expected


def test_what_is_offered_is_the_models_and_not_what_lies_beside_them() -> None:
    found = offers(of("m-Q8_0.gguf", "m-Q4_0.gguf", "mmproj-f16.gguf", "m-imatrix.gguf", "README.md", "m.safetensors"))
    assert {offer.quantisation for offer in found} == {"Q8_0", "Q4_0"}


def test_the_usual_quantisation_is_taken_where_memory_allows() -> None:
    assert default_offer(of("m-Q4_K_M.gguf", "m-Q8_0.gguf", "m-Q2_K.gguf"), None).quantisation == "Q4_K_M"


def test_a_smaller_one_is_taken_where_memory_is_short() -> None:
    found = repository(**{"m-Q4_K_M__gguf": 5, "m-Q3_K_M__gguf": 4, "m-Q2_K__gguf": 3})
    assert default_offer(found, 4 * GB + MEMORY_BESIDE_WEIGHTS_BYTES).quantisation == "Q3_K_M"


def test_nothing_is_taken_that_does_not_fit_unless_it_is_named() -> None:
    found = repository(**{"m-Q4_K_M__gguf": 5, "m-Q2_K__gguf": 3})
    with pytest.raises(PullFailed, match=r"nothing of o/r fits into 3.0 GB of memory; it has Q2_K .3.00 GB., Q4_K_M"):
        default_offer(found, 3 * GB)
    assert find_offer(found, "q4_k_m").size == 5 * GB


def test_a_repository_with_one_model_need_not_name_its_quantisation() -> None:
    assert default_offer(of("the-model.gguf", "README.md"), None).files[0].path == "the-model.gguf"


def test_a_quantisation_that_is_not_there_is_answered_with_those_that_are() -> None:
    with pytest.raises(PullFailed, match=r"o/r has no Q6_K; it has Q8_0 .1.00 GB."):
        find_offer(of("m-Q8_0.gguf"), "Q6_K")


def test_a_quantisation_of_several_models_asks_for_the_file() -> None:
    found = of("a-Q8_0.gguf", "b-Q8_0.gguf")
    with pytest.raises(PullFailed, match=r"name one file: a-Q8_0.gguf, b-Q8_0.gguf"):
        find_offer(found, "Q8_0")
    assert find_offer(found, "b-Q8_0.gguf").files[0].path == "b-Q8_0.gguf"


SPLIT = ("m-Q8_0-00001-of-00002.gguf", "m-Q8_0-00002-of-00002.gguf")


def test_a_split_model_is_refused_by_name_with_what_there_is_instead() -> None:
    for choice in ("Q8_0", SPLIT[1]):
        with pytest.raises(PullFailed, match=r"Q8_0 of o/r is split into 2 files.*it has Q4_0"):
            find_offer(of(*SPLIT, "m-Q4_0.gguf"), choice)


def test_a_split_model_is_never_the_default() -> None:
    assert default_offer(of(*SPLIT, "m-Q2_K.gguf"), None).quantisation == "Q2_K"
    with pytest.raises(PullFailed, match="name what you want"):
        default_offer(of(*SPLIT), None)


def test_a_repository_without_gguf_files_says_so() -> None:
    with pytest.raises(PullFailed, match="no GGUF model in one file"):
        default_offer(of("model.safetensors", "config.json"), None)
