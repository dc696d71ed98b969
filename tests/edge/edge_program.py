"""A fake edge as a program of its own, for what only a process can show: signals, exit codes, what it prints.

Reads a JSON object of options from its argument: `port`, `times` (ServerTimes) and `script` (Script). Prints a line
`listening PORT` when it does, a line `opened` for each Run, and at the end one line of JSON with the outcome of each Run.
"""

import asyncio
import json
import sys

from parley.api.listener import AddressUnusable, open_listener
from parley.api.server import HttpServer, ServerTimes
from parley.core.clock import SystemClock
from tests.builders_edge import QUICK, FakeEdge, Script


async def run(options: dict) -> None:
    edge = FakeEdge(script=Script(**options["script"]), on_open=lambda: print("opened", flush=True))
    listener = open_listener("127.0.0.1", options["port"])
    port = listener.getsockname()[1]
    times = ServerTimes(**options["times"])
    server = HttpServer(edge.app(QUICK, SystemClock()), listener, open_requests=edge.open_requests, times=times)
    await server.serve(lambda: print("listening", port, flush=True))
    print(json.dumps([run.outcome for run in edge.runs]))


def main() -> int:
    try:
        asyncio.run(run(json.loads(sys.argv[1])))
    except AddressUnusable as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
