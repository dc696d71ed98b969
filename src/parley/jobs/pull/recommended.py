"""The short list of models that are known to be worth pulling, read from the file that ships."""

import tomllib
from pathlib import Path

import msgspec


class Recommended(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """A `[[models]]` entry; its fields are explained in `bundled/recommended.toml`."""

    name: str
    repo: str
    file: str | None = None
    memory_gb: float
    licence: str
    about: str


class _File(msgspec.Struct, forbid_unknown_fields=True):
    models: list[Recommended]


def read_recommended(file: Path) -> dict[str, Recommended]:
    """The list by name, the smallest model first. The file is part of the package: a fault in it is a bug and raised."""
    listed = msgspec.convert(tomllib.loads(file.read_text(encoding="utf-8")), _File).models
    return {model.name: model for model in sorted(listed, key=lambda model: model.memory_gb)}
