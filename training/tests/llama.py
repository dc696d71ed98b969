"""llama.cpp in a process of its own, asked over loopback: what our files are compared with."""

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_PROGRAM = """
import sys
from xllamacpp import CommonParams, Server, ggml_type
params = CommonParams()
params.model.path = sys.argv[1]
params.n_ctx, params.n_parallel, params.warmup = 4352, 1, False
params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
# Half precision here would hide what the file holds.
params.cache_type_k = params.cache_type_v = ggml_type.GGML_TYPE_F32
server = Server(params)
print("ADDRESS", server.listening_address, flush=True)
sys.stdin.read()
"""


@dataclass(frozen=True, slots=True)
class RunningLlama:
    """A server with one model."""

    address: str

    def tokens(self, text: str) -> list[int]:
        """Ids of text in which nothing is special."""
        reply = self._post("/tokenize", {"content": text, "parse_special": False})
        return [int(token) for token in reply["tokens"]]

    def next_log_probabilities(self, ids: list[int], count: int) -> dict[int, float]:
        """The likeliest next tokens and their natural log-probabilities."""
        # A token that ends the answer, or is half a character, would come without probabilities: another one is forced.
        # What is reported is from before the forcing.
        (letter,) = self.tokens("a")
        body = {"prompt": ids, "n_predict": 1, "n_probs": count, "temperature": 0, "logit_bias": [[letter, 1000]]}
        (first, *_) = self._post("/completion", body)["completion_probabilities"]
        return {int(token["id"]): float(token["logprob"]) for token in first["top_logprobs"]}

    def _post(self, path: str, body: dict[str, object]) -> dict[str, list[dict[str, list[dict[str, float]]]]]:
        request = urllib.request.Request(
            self.address + path, json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as response:
            return dict(json.load(response))


@contextmanager
def running_llama(model: Path) -> Iterator[RunningLlama]:
    """A server for `model`; it ends when its standard input closes."""
    command = [sys.executable, "-c", _PROGRAM, str(model)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        addresses = (line.split()[1] for line in process.stdout if line.startswith("ADDRESS"))
        try:
            yield RunningLlama(next(addresses))
        finally:
            process.kill()
