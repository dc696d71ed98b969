"""The catalog's verbs: from a name to the snapshot that answers it."""

from parley.core.snapshot import Snapshot


class Catalog:
    def resolve(self, name: str) -> Snapshot:
        """The snapshot that `name` (alias or snapshot) stands for. Raises ModelNotFound."""
        raise NotImplementedError
