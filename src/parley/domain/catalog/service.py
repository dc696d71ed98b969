"""The catalog's verbs: from a name to the snapshot that answers it, and the weights' proof of being what they are."""

import shutil
from collections.abc import Mapping
from dataclasses import replace

from parley.core.errors import ModelNotFound
from parley.core.snapshot import Snapshot, Weights
from parley.domain.catalog.editing import Addition, add_to_file, remove_from_file
from parley.domain.catalog.model import CatalogError, Contents, Places
from parley.domain.catalog.store import read_contents
from parley.domain.catalog.verified import VerifiedFiles
from parley.infra.folder import write_private


class Catalog:
    """The models that can be asked for. Look-ups are pure; the files are `CatalogFiles`'."""

    def __init__(self, contents: Contents) -> None:
        self._contents = contents

    @property
    def default_weights(self) -> Weights:
        """The weights behind every stand-in: what the operator installed last."""
        return self._contents.default_weights

    @property
    def default_speech_weights(self) -> Weights | None:
        """The weights behind every stand-in that hears: the best; None where there are none."""
        return self._contents.default_speech_weights

    @property
    def weights(self) -> Mapping[str, Weights]:
        """Every installed set of weights by name."""
        return self._contents.weights

    @property
    def warnings(self) -> tuple[str, ...]:
        """One line each, for the operator."""
        return self._contents.warnings

    def resolve(self, name: str) -> Snapshot:
        """The snapshot that `name` (alias or snapshot) stands for. Raises ModelNotFound."""
        contents = self._contents
        snapshot = contents.snapshots.get(contents.aliases.get(name, name))
        if snapshot is None:
            raise ModelNotFound(name)
        return snapshot

    def entries(self) -> list[tuple[str, Snapshot, bool]]:
        """Every name with its snapshot and whether it is an alias, in alphabetical order."""
        contents = self._contents
        named = [(name, snapshot, False) for name, snapshot in contents.snapshots.items()]
        named += [(alias, contents.snapshots[target], True) for alias, target in contents.aliases.items()]
        return sorted(named, key=lambda entry: entry[0])

    def replace(self, contents: Contents) -> None:
        """Serve other contents from the next look-up on; requests that are running keep what they resolved."""
        self._contents = contents


class CatalogFiles:
    """The catalog's file and the weights' files. Everything here reads the disk: call it off the loop."""

    def __init__(self, places: Places, templates: frozenset[str], verified: VerifiedFiles) -> None:
        self._places = places
        self._templates = templates
        self._verified = verified

    @property
    def places(self) -> Places:
        """Where the files are."""
        return self._places

    @property
    def templates(self) -> frozenset[str]:
        """The templates that weights may name."""
        return self._templates

    def install(self) -> None:
        """Put a copy of the catalog that ships into place where there is none, for the operator to edit."""
        if not self._places.file.exists():
            write_private(self._places.file, self._places.shipped_file.read_text(encoding="utf-8"))

    def read(self) -> Contents:
        """The catalog in force; the one that ships where nothing has been installed yet. Raises CatalogError."""
        if self._places.file.exists():
            return read_contents(self._places, self._templates)
        return read_contents(replace(self._places, file=self._places.shipped_file), self._templates)

    def verify(self, weights: Weights) -> None:
        """Prove that the weights' files are the ones the catalog pins. Raises CatalogError.

        A file is read once; while its size and time of change stay the same, the proof stands.
        """
        where = f"{self._places.file}: weights {weights.name!r}"
        for path, pinned in ((weights.path, weights.sha256), (weights.projector, weights.projector_sha256)):
            if path is None:
                continue
            try:
                found = self._verified.sha256(path)
            except OSError as error:
                raise CatalogError(f"{where}: {path} cannot be read: {error.strerror}") from None
            if found != pinned:
                raise CatalogError(f"{where}: {path} is not the file that was added (its SHA-256 is {found})")

    def add(self, addition: Addition) -> Contents:
        """Add weights with their snapshot and return the new contents. Raises CatalogError."""
        add_to_file(self._places, self._templates, addition, self.verify)
        return self.read()

    def remove(self, weights: Weights, *, default: str) -> Contents:
        """Take weights out with every name that is pinned to them, then their files if nothing else has them.

        `default` are the weights that serve instead where they were the default. Raises CatalogError; nothing changed then.
        """
        remove_from_file(self._places, self._templates, weights.name, default=default, check=self.verify)
        contents = self.read()
        used = {path for other in contents.weights.values() for path in (other.path, other.projector)}
        for path in (weights.path, weights.projector):
            # The vocabulary of an upstream may be a file that ships.
            if path is None or path.parent != self._places.models or path in used:
                continue
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
        return contents
