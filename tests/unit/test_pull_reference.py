"""What the NAME of a pull means, and what it may not mean."""

import pytest

from parley.cli.pulling import recommended_models
from parley.jobs.pull.recommended import Recommended
from parley.jobs.pull.reference import HubReference, UrlReference, parse_reference
from parley.jobs.pull.repository import PullFailed, is_safe_path

HUB = "https://hub.example"
SHORT = Recommended(name="tiny", repo="o/r-GGUF", file="r-Q4_K_M.gguf", memory_gb=1, licence="MIT", about="small")


def meaning(text: str) -> HubReference | UrlReference:
    return parse_reference(text, {"tiny": SHORT}, endpoint=HUB)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("tiny", HubReference(repository="o/r-GGUF", choice="r-Q4_K_M.gguf")),
        ("owner/repo", HubReference(repository="owner/repo")),
        ("hf://owner/repo", HubReference(repository="owner/repo")),
        ("owner/repo:Q5_K_M", HubReference(repository="owner/repo", choice="Q5_K_M")),
        ("owner/repo@v1:sub/a.gguf", HubReference(repository="owner/repo", revision="v1", choice="sub/a.gguf")),
        ("hf://owner/repo/sub/a.gguf", HubReference(repository="owner/repo", choice="sub/a.gguf")),
        (f"{HUB}/o/r/resolve/main/a.gguf", HubReference(repository="o/r", choice="a.gguf")),
        (f"{HUB}/o/r/blob/v1/s/a.gguf?download=true", HubReference(repository="o/r", revision="v1", choice="s/a.gguf")),
        (
            "https://else.example/o/r/resolve/main/a.gguf",
            UrlReference(url="https://else.example/o/r/resolve/main/a.gguf"),
        ),
    ],
)
def test_a_name_means(text: str, expected: HubReference | UrlReference) -> None:
    assert meaning(text) == expected


def test_an_unknown_short_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(PullFailed, match=r"recommended models .tiny."):
        meaning("tinny")


@pytest.mark.parametrize(
    "text",
    [
        "o/r:pytorch_model.bin",
        "o/r:a.PT",
        "o/r:weights.ckpt",
        "o/r:x.pkl",
        "hf://o/r/modeling.py",
        "https://h.example/w.pth",
    ],
)
def test_j5_a_format_that_holds_code_is_refused_before_anybody_is_asked(text: str) -> None:
    with pytest.raises(PullFailed, match="can hold code"):
        meaning(text)


UPWARDS = [
    "../r",
    "o/..",
    "../../etc",
    "/etc/passwd",
    "o/r:../../x.gguf",
    "o/r:/etc/passwd",
    "o/r:a/../b.gguf",
    "hf://o/r/../../x.gguf",
    "o/r@../x:Q4_0",
    "o/r:a\\..\\b",
    "o/r:a\nb.gguf",
    "o/r:\x1b[2J.gguf",
    "o/r:.hidden/x.gguf",
    "o/r:a//b.gguf",
    "file:///etc/passwd",
    "ftp://h/x.gguf",
    "o/r/s",
    "-o/r",
    "",
]


@pytest.mark.parametrize("text", UPWARDS)
def test_j6_a_name_that_is_a_path_is_refused(text: str) -> None:
    with pytest.raises(PullFailed):
        meaning(text)


@pytest.mark.parametrize("path", ["a.gguf", "sub/a-00001-of-00002.gguf", "tokenizer.json", "a/b/c/model.bin"])
def test_an_ordinary_path_is_safe(path: str) -> None:
    assert is_safe_path(path)


@pytest.mark.parametrize(
    "path", ["", "/a", "a/", "../a", "a/../b", ".", "..", "a/.b", "a\\b", "a\0b", "a b", "-rf", "a" * 600]
)
def test_j6_a_hubs_path_that_leads_elsewhere_is_not_safe(path: str) -> None:
    assert not is_safe_path(path)


def test_every_recommended_model_is_a_gguf_file_or_hears_and_its_name_is_no_path() -> None:
    models = recommended_models()
    assert models
    for name, model in models.items():
        assert parse_reference(name, models, endpoint=HUB) == HubReference(repository=model.repo, choice=model.file)
        hears = name.startswith(("whisper-", "distil-"))
        assert model.file is None if hears else model.file.endswith(".gguf")
        assert "/" not in name
        assert model.licence
