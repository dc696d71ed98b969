"""Fake engines for tests: one by itself, or a whole server on several of them, each with its knobs and its truth journal."""

import hashlib
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict
from pathlib import Path

from parley.core.clock import Clock
from parley.serving.engines.child import Supervision
from tests.faults.fake_engine.adapter import FakeEngine, FakeOptions
from tests.faults.fake_engine.journal import Truth, read_truth
from tests.faults.fake_engine.knobs import Knobs, write_knobs
from tests.gguf_maker import Shape, model_bytes
from tests.live import LiveServer, running_server

# Pauses that no test waits for; what a row demands of the pauses is tested on the pure functions and in the full figures.
QUICK = Supervision(first_backoff_seconds=0.05, stall_check_seconds=0.1)
CONTEXT = 4096
_SNAPSHOT = """
[[snapshots]]
name = "{name}-1"
family = "{name}"
weights = "{name}"
context = {context}
capabilities = ["chat", "complete"]
price = "tests"
created = 2023-03-01
"""
_WEIGHTS = """
[[weights]]
name = "{name}"
engine = "llama"
file = "models/{sha256}.gguf"
sha256 = "{sha256}"
context = {context}
template = "chatml"
options = {{ {options} }}
"""


@asynccontextmanager
async def fake_engine(
    home: Path,
    knobs: Knobs | None = None,
    *,
    model: str = "alpha",
    num_slots: int = 8,
    supervision: Supervision = QUICK,
    clock: Clock | None = None,
) -> AsyncIterator[FakeEngine]:
    """A started engine that answers with `model`."""
    write_knobs(home, model, knobs or Knobs())
    options = FakeOptions(model=model, home=home, num_slots=num_slots, supervision=supervision)
    engine = FakeEngine(options, clock=clock)
    try:
        await engine.start()
        yield engine
    finally:
        await engine.aclose()


class FaultyServer:
    """A live server whose models are fake engines."""

    def __init__(self, live: LiveServer, home: Path) -> None:
        self.live = live
        self.home = home

    def truth(self, model: str) -> Truth:
        """What `model`'s worker did so far."""
        return read_truth(self.home, model)

    def set_knobs(self, model: str, knobs: Knobs) -> None:
        """From its next start on."""
        write_knobs(self.home, model, knobs)

    def pid(self, model: str) -> int:
        """The worker that was started last."""
        return self.truth(model).starts[-1]


def is_alive(pid: int) -> bool:
    """Whether the process is there and no zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


@contextmanager
def faulty_server(
    folder: Path,
    models: Mapping[str, Knobs],
    *,
    settings: Mapping[str, str] | None = None,
    supervision: Supervision = QUICK,
    options: Mapping[str, str] | None = None,
    fakes: Path | None = None,
) -> Iterator[FaultyServer]:
    """A server with these models, of which the first is the default. `options` are catalog options by model.

    `fakes` is where the fake engines keep their journals, if not in `folder`.

    A folder that holds a data folder already is served as it is.
    """
    home, data = fakes or folder / "fakes", folder / "data"
    for model, knobs in models.items():
        write_knobs(home, model, knobs)
    if not data.exists():
        write_catalog(data, list(models), options or {})
    program = ("tests.faults.fake_engine.program", str(home), json.dumps(asdict(supervision)))
    with running_server(folder, settings, program=program) as live:
        yield FaultyServer(live, home)


def write_catalog(
    data: Path, models: list[str], options: Mapping[str, str], *, price_nano: tuple[int, int] = (0, 0)
) -> None:
    """A catalog of small made models, each with weights of its own; the first is the default.

    `price_nano` is what a token of input and one of output cost.
    """
    (data / "models").mkdir(parents=True, mode=0o700)
    data.chmod(0o700)
    input_nano, output_nano = price_nano
    text = f'default_weights = "{models[0]}"\nprice_list = "tests"\n\n[prices.tests]\n'
    text += f"input = {input_nano}\noutput = {output_nano}\n"
    for number, name in enumerate(models, 1):
        raw = model_bytes(Shape(seed=number, context_length=CONTEXT))
        sha256 = hashlib.sha256(raw).hexdigest()
        (data / "models" / f"{sha256}.gguf").write_bytes(raw)
        text += _WEIGHTS.format(name=name, sha256=sha256, context=CONTEXT, options=(options or {}).get(name, ""))
    text += "".join(_SNAPSHOT.format(name=name, context=CONTEXT) for name in models)
    text += "\n[aliases]\n" + "".join(f'{name} = "{name}-1"\n' for name in models)
    (data / "catalog.toml").write_text(text)
