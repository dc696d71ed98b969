"""llama.cpp's own HTTP server as a program of its own, as an operator would start one.

python -m tests.engines.llama_server_program MODEL.gguf PORT NUM_SLOTS [PROJECTOR.gguf]
"""

import signal
import sys
from pathlib import Path


def main() -> None:
    from xllamacpp import CommonParams, Server

    params = CommonParams()
    params.model.path = str(Path(sys.argv[1]))
    params.hostnames, params.port = ["127.0.0.1"], int(sys.argv[2])
    params.n_parallel = int(sys.argv[3])
    params.n_ctx = params.n_parallel * 512
    if len(sys.argv) > 4:
        params.mmproj.path, params.mmproj_use_gpu = str(Path(sys.argv[4])), False
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.cache_ram_mib = 0
    params.fit_params = params.ctx_shift = params.ui = False
    params.verbosity = 1
    server = Server(params)
    print("serving", server.listening_address, flush=True)
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    del server


if __name__ == "__main__":
    # Blocked before the engine starts its threads, so that the signal waits for `sigwait`.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    main()
