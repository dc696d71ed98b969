"""What the NAME of `parley pull` means: a model of the short list, a repository of the hub, or a URL."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from parley.jobs.pull.recommended import Recommended
from parley.jobs.pull.repository import PullFailed, is_safe_path

_REPOSITORY = r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9_][\w.-]{0,95}"
# owner/repo, then a revision after @, then a quantisation or a file after the colon.
_NAMED = re.compile(
    rf"(?:hf://)?(?P<repo>{_REPOSITORY})(?:@(?P<revision>[\w.-]{{1,100}}))?(?::(?P<choice>[^:]{{1,300}}))?"
)
_FILE_IN_REPOSITORY = re.compile(
    rf"hf://(?P<repo>{_REPOSITORY})(?:@(?P<revision>[\w.-]{{1,100}}))?/(?P<choice>.{{1,300}})"
)
_FILE_OF_HUB = re.compile(
    rf"/(?P<repo>{_REPOSITORY})/(?:resolve|blob)/(?P<revision>[\w.-]{{1,100}})/(?P<choice>.{{1,300}})"
)
# Formats whose reading runs what is in them.
_CODE_SUFFIXES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".py")


@dataclass(frozen=True, slots=True, kw_only=True)
class HubReference:
    """A repository, and what is wanted of it: a quantisation (Q4_K_M), a file of it, or None for our choice."""

    repository: str
    revision: str = "main"
    choice: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UrlReference:
    """One file at a URL."""

    url: str

    @property
    def file_name(self) -> str:
        return unquote(urlsplit(self.url).path).rsplit("/", 1)[-1]


def parse_reference(text: str, recommended: Mapping[str, Recommended], *, endpoint: str) -> HubReference | UrlReference:
    """What `text` means, without asking anybody. Raises PullFailed. `endpoint` is the hub's address."""
    if text in recommended:
        model = recommended[text]
        return HubReference(repository=model.repo, choice=model.file)
    if text.startswith(("http://", "https://")):
        return _of_url(text, endpoint)
    match = _FILE_IN_REPOSITORY.fullmatch(text) or _NAMED.fullmatch(text)
    if match is None:
        raise PullFailed(
            f"{text[:200]!r} is none of the recommended models ({', '.join(recommended)}), no owner/repository[:choice] "
            "of the hub, and no https URL"
        )
    return _of_hub(match)


def _of_url(text: str, endpoint: str) -> HubReference | UrlReference:
    parts, hub = urlsplit(text), urlsplit(endpoint)
    if (parts.scheme, parts.netloc) == (hub.scheme, hub.netloc):
        # The hub knows the digests of its files; a bare URL would leave them unasked.
        of_hub = _FILE_OF_HUB.fullmatch(unquote(parts.path))
        if of_hub is not None:
            return _of_hub(of_hub)
    reference = UrlReference(url=text)
    _refuse_code(reference.file_name)
    if not reference.file_name.lower().endswith(".gguf"):
        raise PullFailed("a URL must lead to a .gguf file; for a repository of the hub write owner/repository")
    return reference


def _of_hub(match: re.Match[str]) -> HubReference:
    choice = match["choice"]
    if choice is not None:
        if not is_safe_path(choice):
            raise PullFailed(f"{choice[:200]!r} is neither a quantisation nor a file of a repository")
        _refuse_code(choice)
    return HubReference(repository=match["repo"], revision=match["revision"] or "main", choice=choice)


def _refuse_code(file_name: str) -> None:
    if file_name.lower().endswith(_CODE_SUFFIXES):
        raise PullFailed(f"{file_name[:200]!r} is of a kind that can hold code; Parley takes GGUF files")
