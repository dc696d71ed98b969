"""A15: there is one way to an engine, and it goes past the meter."""

import ast
from pathlib import Path

import parley

SOURCE = Path(parley.__file__).parent
# What starts work on an engine.
VERBS = {"generate", "score"}
# A probe is a token for nobody: whether an engine lives is not what anybody asked for.
THE_WAY = {"serving/execution.py", "serving/scheduling/probing.py"}


def callers(source: Path) -> set[str]:
    """The modules that await a verb of an engine, adapters and workers aside: these are the engine."""
    found = set()
    for path in source.rglob("*.py"):
        place = path.relative_to(source).as_posix()
        if place.startswith(("serving/engines/", "workers/")):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            awaited = node.value if isinstance(node, ast.Await) else None
            if isinstance(awaited, ast.Call) and getattr(awaited.func, "attr", "") in VERBS:
                found.add(place)
    return found


def test_a15_only_the_metered_execution_and_the_probes_start_work_on_an_engine():
    assert callers(SOURCE) == THE_WAY


def test_a_side_door_would_be_seen(tmp_path):
    (tmp_path / "trial.py").write_text("async def trial(engine, request):\n    return await engine.generate(request)\n")
    assert callers(tmp_path) == {"trial.py"}
