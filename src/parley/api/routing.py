"""Routes as values, and finding the one that a path and a method mean."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from msgspec import Struct

from parley.api.call import Access, Handler
from parley.core.errors import MethodNotAllowed, NotFound
from parley.core.principal import Scope

_RUN_ON = re.compile("v1(.+)", re.DOTALL)
_PARAMETER = re.compile(r"\{(\w+)\}")
_PROJECT = "{project_id}"

# Parts of OpenAI's API that exist there and not here: a typing mistake is not what their callers have made.
_NOT_SERVED = re.compile(
    r"/v1/(?:audio/speech|images|embeddings|moderations|files|uploads|fine-tunes|fine_tuning|batches|responses|conversations"
    r"|assistants|threads|vector_stores|evals|realtime|videos|containers)(?:/|$)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One method of one path. One `{parameter}` in it stands for any text, slashes included; several for a segment each.

    `family` is the scope that grants a route of models besides `model.request`; None: it belongs to no family.
    """

    method: str
    path: str
    handler: Handler
    access: Access
    family: Scope | None = None

    def project_in(self, path: str) -> str | None:
        """The project that a path of this route names; None: it names none."""
        parts = self.path.split("/")
        return path.split("/")[parts.index(_PROJECT)] if _PROJECT in parts else None


class Match(Struct, frozen=True):
    route: Route
    path_params: dict[str, str]


class RouteTable:
    """Exact paths by look-up, then the few with a parameter. Decides on the decoded path alone, never on Host."""

    def __init__(self, routes: Sequence[Route]) -> None:
        self.routes = tuple(routes)
        self._exact: dict[str, dict[str, Route]] = {}
        self._patterns: list[tuple[re.Pattern[str], dict[str, Route]]] = []
        by_path: dict[str, dict[str, Route]] = {}
        for route in self.routes:
            methods = by_path.setdefault(route.path, {})
            if route.method in methods:
                raise ValueError(f"two routes for {route.method} {route.path}")
            methods[route.method] = route
        # The longest path first: `/v1/engines/{id}/completions` before `/v1/engines/{id}`.
        for path, methods in sorted(by_path.items(), key=lambda item: -len(item[0])):
            if "{" in path:
                self._patterns.append((_compile(path), methods))
            else:
                self._exact[path] = methods

    def find(self, method: str, path: str) -> Match:
        """The route of `method` and `path`. Raises NotFound with the nearest path, MethodNotAllowed with the methods."""
        methods, path_params = self._find_path(path)
        if methods is None:
            raise NotFound(self._explain_unknown(method, path))
        # HEAD is GET whose body the server leaves out.
        route = methods.get("GET" if method == "HEAD" else method)
        if route is None:
            if _has_slash(path_params):
                # More likely a path that we do not have, under a model's name, than a model of that name.
                raise NotFound(self._explain_unknown(method, path))
            raise MethodNotAllowed(
                f"Not allowed to {method} on {path}. (HINT: Perhaps you meant to use a different HTTP method?)",
                allowed=_allowed(methods),
            )
        return Match(route, path_params)

    def allowed_methods(self, path: str) -> tuple[str, ...]:
        """The methods of `path`, none for an unknown one."""
        methods, _ = self._find_path(path)
        return _allowed(methods) if methods is not None else ()

    def _find_path(self, path: str) -> tuple[dict[str, Route] | None, dict[str, str]]:
        # One slash at the end means the same path; a redirect would lose the body of a POST in older clients.
        if path.endswith("/") and len(path) > 1:
            path = path[:-1]
        methods = self._exact.get(path)
        if methods is not None:
            return methods, {}
        if "\0" in path:
            # Nothing has it in its name: PostgreSQL keeps no NUL in a text.
            return None, {}
        for pattern, methods in self._patterns:
            found = pattern.fullmatch(path)
            if found:
                return methods, found.groupdict()
        return None, {}

    def _explain_unknown(self, method: str, path: str) -> str:
        shown = path[:200]
        sentence = f"Invalid URL ({method} {shown})"
        if _NOT_SERVED.match(shown):
            return f"{sentence}. This version of Parley does not serve that part of the API; /openapi.json says what it serves."
        near = self._nearest(method, path)
        return f"{sentence}. Did you mean {near}?" if near else sentence

    def _nearest(self, method: str, path: str) -> str | None:
        """The likeliest path: one that ends the same way (a base URL without /v1), or one that is spelt alike."""
        parts = [part for part in path[:200].split("/") if part]
        # `/v1models`: a client that puts its paths right behind a base URL whose last slash is missing.
        if parts and (run_on := _RUN_ON.fullmatch(parts[0])):
            parts[:1] = ["v1", run_on[1]]
        known = sorted({route.path for route in self.routes if route.method == method} - {"/"})
        known += sorted({route.path for route in self.routes} - set(known) - {"/"})
        # `/v1/v1/models`, `/api/v1/models`, `/models`, `/openai/deployments/x/chat/completions`: the longest end decides.
        for start in range(len(parts)):
            end = "/" + "/".join(parts[start:])
            for candidate in (end, "/v1" + end):
                if candidate in known or self._has(method, candidate):
                    return candidate
        spelt = "/" + "/".join(parts)
        for text in (spelt, "/v1" + spelt):
            if close := get_close_matches(text, known, n=1, cutoff=0.75):
                return close[0]
        return None

    def _has(self, method: str, path: str) -> bool:
        """Whether the path is one of those with a parameter, plainly."""
        methods, path_params = self._find_path(path)
        return methods is not None and method in methods and not _has_slash(path_params)


def _has_slash(path_params: dict[str, str]) -> bool:
    return any("/" in value for value in path_params.values())


def _compile(path: str) -> re.Pattern[str]:
    parts = _PARAMETER.split(path)
    # Names stand at the odd places of a split by a pattern with one group.
    one = ".+" if len(parts) == 3 else "[^/]+"
    pattern = "".join(f"(?P<{part}>{one})" if place % 2 else re.escape(part) for place, part in enumerate(parts))
    return re.compile(pattern, re.DOTALL)


def _allowed(methods: dict[str, Route]) -> tuple[str, ...]:
    names = set(methods) | {"OPTIONS"} | ({"HEAD"} if "GET" in methods else set())
    return tuple(sorted(names))
