"""The catalog file's entries, and how the file is read: strictly, each fault with the entry it is in."""

import tomllib
from datetime import date
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec

from parley.core.money import MAX_PRICE_NANO
from parley.core.snapshot import Capability, EngineKind
from parley.core.upstream import UpstreamKind
from parley.domain.catalog.model import CatalogError

T = TypeVar("T")
_Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
_Nano = Annotated[int, msgspec.Meta(ge=0, le=MAX_PRICE_NANO)]
_Positive = Annotated[int, msgspec.Meta(ge=1, le=2**31)]


class _Entry(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    pass


class UpstreamEntry(_Entry):
    """The `upstream` of a `[[weights]]` entry: a server of somebody else that has the weights."""

    kind: UpstreamKind
    url: str
    model: str
    key_env: str | None = None
    key_file: str | None = None
    command: list[str] = []
    vision: bool = False


class WeightsEntry(_Entry):
    """A `[[weights]]` entry; its fields are explained in `bundled/catalog.toml`."""

    name: str
    engine: EngineKind
    template: str | None = None
    # 0 for engines that hear, which read no prompts of tokens.
    context: _Count = 0
    file: str | None = None
    sha256: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")] | None = None
    parameters: _Count | None = None
    description: str = ""
    source: str = ""
    licence: str = ""
    options: dict[str, _Positive] = {}
    upstream: UpstreamEntry | None = None
    projector: str | None = None
    projector_sha256: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")] | None = None
    # Of Whisper: what it hears, all languages where none is named, and whether it can say it in English.
    languages: list[str] = []
    translates: bool = False

    @property
    def is_bundled(self) -> bool:
        """Whether it comes with the package: the echo engine and the model of pocketsphinx do, as a bundled file does."""
        if self.engine is EngineKind.UPSTREAM:
            return False
        return self.engine in (EngineKind.ECHO, EngineKind.SPHINX) or (self.file or "").startswith("bundled/")


class PriceEntry(_Entry):
    """A `[prices.NAME]` entry, in nano-dollars per token, second, or picture of a size."""

    input: _Nano = 0
    # Without it, a cached token costs what any input token costs.
    cached: _Nano | None = None
    output: _Nano = 0
    audio_second: _Nano = 0
    training: _Nano = 0
    images: dict[str, _Nano] = {}


class SnapshotEntry(_Entry):
    """A `[[snapshots]]` entry."""

    name: str
    family: str
    context: _Count
    capabilities: list[Capability]
    price: str
    created: date
    weights: str | None = None
    shutdown_date: date | None = None
    owned_by: str = "parley"


class CatalogFile(_Entry):
    """The whole file."""

    default_weights: str
    price_list: str
    prices: dict[str, PriceEntry]
    weights: list[WeightsEntry]
    snapshots: list[SnapshotEntry]
    aliases: dict[str, str]
    # Without it, those of the package.
    default_speech_weights: str | None = None

    def bundled_weights(self) -> set[str]:
        """Names of the weights that come with the package."""
        return {entry.name for entry in self.weights if entry.is_bundled}


def read_file(file: Path) -> CatalogFile:
    """A catalog file, each entry checked by itself. Raises CatalogError, which names the line or the entry."""
    try:
        raw = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise CatalogError(f"{file} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CatalogError(f"{file} is not TOML: {error}") from None
    _check_entries(raw, "weights", WeightsEntry, file)
    _check_entries(raw, "snapshots", SnapshotEntry, file)
    return _convert(raw, CatalogFile, str(file))


def _check_entries(raw: dict[str, Any], table: str, kind: type[msgspec.Struct], file: Path) -> None:
    """Check entries one by one, so that the message can say which it is by name and not by a path into the file."""
    entries = raw.get(table)
    if not isinstance(entries, list):
        raise CatalogError(f"{file}: there is no [[{table}]] entry")
    seen: set[object] = set()
    for number, entry in enumerate(entries, 1):
        name = entry.get("name") if isinstance(entry, dict) else None
        where = f"{file}: [[{table}]] entry {number} ({name!r})"
        _convert(entry, kind, where)
        if name in seen:
            raise CatalogError(f"{where}: the name was used before")
        seen.add(name)


def _convert(value: object, kind: type[T], where: str) -> T:
    try:
        return msgspec.convert(value, kind, builtin_types=(date,))
    except msgspec.ValidationError as error:
        raise CatalogError(f"{where}: {error}") from None
