"""The system_fingerprint: another one for whatever may answer otherwise."""

from dataclasses import replace

from parley.api.openai.opening import fingerprint
from parley.core.snapshot import EngineKind
from tests.builders_wire import WEIGHTS


def test_it_changes_with_what_computes_the_answer_and_with_nothing_else() -> None:
    llama = replace(WEIGHTS, engine=EngineKind.LLAMA, sha256="0" * 64)
    told = [
        fingerprint(llama, "wheel"),
        fingerprint(llama, "built here"),
        fingerprint(replace(llama, sha256="1" * 64), "wheel"),
        fingerprint(replace(llama, template="llama-3"), "wheel"),
        fingerprint(replace(llama, projector_sha256="2" * 64), "wheel"),
        fingerprint(WEIGHTS, "wheel"),
    ]
    assert len(set(told)) == len(told)
    assert fingerprint(replace(llama, description="Other."), "wheel") == told[0]
    assert fingerprint(WEIGHTS, "built here") == told[-1]
