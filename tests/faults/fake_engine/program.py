"""`parley serve` with fake engines in the place of llama.cpp, and with the supervision's times as a test wants them.

    python -m tests.faults.fake_engine.program HOME '<Supervision as JSON>'

Settings come by environment, as they do for the real one; FAIL_AT names a failpoint besides. Tokenizers are the real ones.
"""

import json
import os
import sys
from pathlib import Path

import uvloop

from parley.app import serve
from parley.core.snapshot import EngineKind
from parley.infra.logs import configure_logging
from parley.infra.settings import load_settings
from parley.runtimes import EnginePlan
from parley.serving.engines.child import Supervision
from tests.faults.failpoints import arm
from tests.faults.fake_engine.adapter import FakeEngine, FakeOptions


def main() -> None:
    home, supervision = Path(sys.argv[1]), Supervision(**json.loads(sys.argv[2]))

    def make_fake(plan: EnginePlan) -> FakeEngine:
        options = FakeOptions(
            model=plan.weights.name,
            home=home,
            num_slots=plan.num_slots,
            supervision=supervision,
        )
        return FakeEngine(options, clock=plan.clock)

    if "FAIL_AT" in os.environ:
        arm(os.environ["FAIL_AT"])
    settings = load_settings({})
    configure_logging(level=settings.log_level, style="json", secrets=[])
    quiet = {"on_step": lambda _: None, "on_ready": lambda _: None}
    uvloop.run(serve(settings, engines={EngineKind.LLAMA: make_fake}, **quiet))


if __name__ == "__main__":
    main()
