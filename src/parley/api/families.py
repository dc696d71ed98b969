"""Families of endpoints: which scope, beside `model.request`, grants a path that runs a model."""

import re

from parley.core.principal import Scope

# The first that matches counts.
_FAMILIES = (
    (re.compile(r"/chat/completions"), Scope.CHAT),
    (re.compile(r"/(?:completions|edits)(?:/|$)"), Scope.COMPLETIONS),
    (re.compile(r"/embeddings"), Scope.EMBEDDINGS),
    (re.compile(r"/moderations"), Scope.MODERATIONS),
    (re.compile(r"/audio/"), Scope.AUDIO),
    (re.compile(r"/images/"), Scope.IMAGES),
    (re.compile(r"/v1/(?:responses|conversations)(?:/|$)"), Scope.RESPONSES),
    (re.compile(r"/v1/(?:files|uploads)(?:/|$)"), Scope.FILES),
    (re.compile(r"/v1/(?:fine-tunes|fine_tuning)(?:/|$)"), Scope.FINE_TUNING),
    (re.compile(r"/v1/batches(?:/|$)"), Scope.BATCHES),
)


def family_of(path: str) -> Scope | None:
    """The scope of the family of a path that runs a model; None: it has none."""
    return next((scope for pattern, scope in _FAMILIES if pattern.search(path)), None)
