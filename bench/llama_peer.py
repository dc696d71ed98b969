"""The peer behind the text engine: the same build's own HTTP server with the same settings, and nothing before it.

Started as `python -m bench.llama_peer OPTIONS`, with the JSON options that Parley gave its own worker, and a `socket`.
"""

import importlib
import json
import signal
import sys
from pathlib import Path


def start_server(options: dict[str, int | str]) -> object:
    """The running server; it stops when nobody holds it. Raises RuntimeError, with the reason on stderr only."""
    runtime = importlib.import_module("xllamacpp")
    num_slots, num_threads, batch_tokens = (int(options[name]) for name in ("num_slots", "num_threads", "batch_tokens"))
    params = runtime.CommonParams()
    params.model.path = str(options["model"])
    params.n_parallel = num_slots
    params.n_ctx = num_slots * int(options["context_length"])
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = num_threads
    # An abort is seen between two steps, so a step is kept short.
    params.n_batch = params.n_ubatch = batch_tokens
    # Server threads that parse requests and write streams; each open stream holds one.
    params.n_threads_http = 2 * num_slots + 4
    # Do not shrink what was asked for to what happens to be free.
    params.fit_params = False
    # No second copy of prompts in main memory; each slot keeps the last prompt it served.
    params.cache_ram_mib = 0
    params.ctx_shift = False
    params.ui = False
    params.endpoint_slots = True
    params.use_jinja = False
    # Errors alone: prompts never appear in a log.
    params.verbosity = 1
    # A pause without output is watched on our side, and a comment in the stream says nothing.
    params.sse_ping_interval = -1
    path = Path(str(options["socket"]))
    # A file left by a killed worker would make the start fail.
    path.unlink(missing_ok=True)
    params.hostnames = [str(path)]
    return runtime.Server(params)


def main() -> None:
    server = start_server(json.loads(sys.argv[1]))
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    del server


if __name__ == "__main__":
    # Blocked before the engine starts its threads, so that the signal waits for `sigwait`.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    main()
