"""Rules of the house that no linter knows, as pure functions: a folder or a text in, the violations out, one line each."""

import ast
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

MAX_LINES = 500

# Words that say nothing about the thing they name, or that mean another thing here (GLOSSARY.md).
BANNED_IN_NAMES = frozenset({"manager", "helper", "helpers", "util", "utils", "common", "misc", "data", "info"})
# The one thing that is called so: the folder that PARLEY_DATA names.
DATA_FOLDER = ("data", "folder")
# What asyncio calls, under a name that it chose.
GIVEN_NAMES = frozenset({"data_received"})
BANNED_MODULES = frozenset({"base"})
BANNED_VERBS = frozenset({"process", "handle"})

# What only a child program may load: they crash, hold the interpreter's lock, or take seconds.
RUNTIMES = frozenset(
    {
        "xllamacpp",
        "llguidance",
        "torch",
        "ctranslate2",
        "faster_whisper",
        "onnxruntime",
        "av",
        "jinja2",
        "pocketsphinx",
        "PIL",
    }
)

# Where a broad catch may stand: `path::function` -> why. An outermost loop, or a place that carries the failure to whom it belongs.
BROAD_CATCHES: dict[str, str] = {
    "api/boundary.py::_answer": "the outermost frame of every HTTP request: logs the traceback and answers 500",
    "api/platform/control.py::_answer": "the outermost frame of a command: logs the traceback and tells who gave it",
    "infra/mail.py::_carry": "whatever kept a letter from being sent, it goes to the outbox",
    "infra/mail.py::run": "the outermost loop of the mails: one that cannot be written ends none behind it",
    "infra/mail.py::work_and_tell": "the outermost frame of a thread: the failure is carried to who waits",
    "serving/closing.py::aclose": "every call is made, whatever the one before raised; what was raised is raised behind them",
    "infra/readers.py::_work_and_tell": "the outermost frame of a thread's work: the failure is carried to who waits",
    "infra/writer.py::_run": "the outermost loop of the writer's thread: logs the traceback, then every caller is told",
    "infra/units.py::_commit_run": "a refused item fails the whole run; each is then tried by itself, fatal ones rise",
    "infra/units.py::_write_run": "as _commit_run, inside a larger transaction",
    "infra/units.py::_run_in_savepoint": "a unit's failure is carried to the caller whose unit it is; fatal ones rise",
}


def python_files(root: Path) -> Iterator[Path]:
    """Every Python file under `root`, in order, but for folders that are hidden: the bench keeps its peers in one."""
    files = sorted(root.rglob("*.py"))
    return (path for path in files if not any(part.startswith(".") for part in path.relative_to(root).parts))


def too_long(root: Path) -> list[str]:
    """Files over the hard stop."""
    counts = ((path, len(path.read_text().splitlines())) for path in python_files(root))
    return [
        f"{path.relative_to(root)} has {count} lines, {MAX_LINES} at most"
        for path, count in counts
        if count > MAX_LINES
    ]


def without_first_line(root: Path) -> list[str]:
    """Modules that do not say what they are for. Private modules and empty `__init__` files need not."""
    found = []
    for path in python_files(root):
        text = path.read_text()
        if not text.strip() and path.name == "__init__.py":
            continue
        docstring = ast.get_docstring(ast.parse(text), clean=False)
        if not docstring or not docstring.splitlines()[0].strip():
            found.append(f"{path.relative_to(root)} does not start with a line that says what it is for")
    return found


def words(name: str) -> list[str]:
    """The words of a name in snake_case or CamelCase, in lower case."""
    return [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+", name)]


def says_nothing(name: str) -> bool:
    """Whether a banned word stands in the name."""
    if name in GIVEN_NAMES:
        return False
    parts = words(name)
    named = [pair for pair in pairwise([*parts, ""]) if pair != DATA_FOLDER]
    return bool(BANNED_IN_NAMES & {first for first, _ in named})


def banned_names(root: Path) -> list[str]:
    """Modules, classes and functions that are named with a word that we do not use."""
    return [violation for path in python_files(root) for violation in _banned_in(path, root)]


def _banned_in(path: Path, root: Path) -> Iterator[str]:
    place = path.relative_to(root)
    if says_nothing(path.stem) or path.stem in BANNED_MODULES:
        yield f"{place}: a module with that name says nothing"
    is_handler = "api" in place.parts
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ClassDef):
            is_service = "serving" in place.parts and "service" in words(node.name)
            if says_nothing(node.name) or is_service:
                yield f"{place}:{node.lineno}: class {node.name}"
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            verb = next(iter(words(node.name)), "")
            if says_nothing(node.name) or (verb in BANNED_VERBS and not is_handler):
                yield f"{place}:{node.lineno}: function {node.name}"


def runtime_imports(root: Path) -> list[str]:
    """Model runtimes named outside workers/: by an import statement, or as a text that a late import would take."""
    found = []
    for path in python_files(root):
        place = path.relative_to(root)
        if place.parts[0] == "workers":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            named = RUNTIMES & {name.partition(".")[0] for name in _imported_by(node)}
            found += [f"{place}:{getattr(node, 'lineno', 0)} imports {name}" for name in sorted(named)]
    return found


def _imported_by(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return [node.module or ""]
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute | ast.Name):
        called = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id
        texts = [word.value for word in node.args if isinstance(word, ast.Constant)]
        return [str(text) for text in texts] if called in {"import_module", "__import__", "find_spec"} else []
    return []


def broad_catches(root: Path, allowed: dict[str, str]) -> list[str]:
    """Every `except` of everything that is not in `allowed`, and every entry of `allowed` that catches nothing any more."""
    seen = dict(_broad_catches_in(root))
    strange = [f"{place} (line {line}) catches everything" for place, line in seen.items() if place not in allowed]
    stale = [f"{place} is listed and catches nothing broad" for place in allowed if place not in seen]
    return strange + stale


def _broad_catches_in(root: Path) -> Iterator[tuple[str, int]]:
    for path in python_files(root):
        tree = ast.parse(path.read_text())
        functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
        for node in ast.walk(tree):
            if isinstance(node, ast.ExceptHandler) and _is_broad(node.type) and not _raises_again(node):
                around = [f for f in functions if f.lineno <= node.lineno <= (f.end_lineno or f.lineno)]
                owner = max(around, key=lambda f: f.lineno).name if around else "<module>"
                yield f"{path.relative_to(root)}::{owner}", node.lineno


def _is_broad(caught: ast.expr | None) -> bool:
    if caught is None:
        return True
    if isinstance(caught, ast.Tuple):
        return any(_is_broad(element) for element in caught.elts)
    return isinstance(caught, ast.Name) and caught.id in {"Exception", "BaseException"}


def _raises_again(handler: ast.ExceptHandler) -> bool:
    """Whether the handler only cleans up: its last statement raises what was caught."""
    last = handler.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None


# Places and names that belong to whoever writes, never to what is written. Spelt in pieces, or this file would break its own rule.
FORBIDDEN_TEXT = {
    "a folder of the author's machine": re.compile(r"(?<![\w.])/(?:wo" + r"rk|ro" + r"ot)(?:/|\b)"),
    "a folder beside the repository": re.compile(
        r"\.\./sha" + r"red\b|\bsha" + r"red/(?:DESIGN|STYLE|ENGINES|ERRORS|FAULTS)"
    ),
    "a registry's address": re.compile(
        r"pypi\.o" + r"rg|pythonhosted\.o" + r"rg|registry\.npmjs|deb\.debian|file:///o" + r"pt"
    ),
    "a paper that is not in the repository": re.compile(
        r"\b(?:DES" + r"IGN|STY" + r"LE|ENGI" + r"NES|ERR" + r"ORS|FAU" + r"LTS)\.md\b"
    ),
}


def forbidden_text(name: str, text: str) -> list[str]:
    """Lines of one file that name what a reader of the repository cannot have."""
    return [
        f"{name}:{number} names {what}"
        for number, line in enumerate(text.splitlines(), start=1)
        for what, pattern in FORBIDDEN_TEXT.items()
        if pattern.search(line)
    ]
