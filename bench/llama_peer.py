"""The peer behind the text engine: the same build's own HTTP server with the same settings, and nothing before it.

Started as `python -m bench.llama_peer OPTIONS`, with the JSON options that Parley gave its own worker, but for the socket.
"""

import json
import signal
import sys

from parley.workers.llama import _start_server


def main() -> None:
    server = _start_server(json.loads(sys.argv[1]))
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    del server


if __name__ == "__main__":
    # Blocked before the engine starts its threads, so that the signal waits for `sigwait`.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    main()
