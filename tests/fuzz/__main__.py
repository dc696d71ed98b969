"""`make fuzz`: the run of test_openapi.py with more examples, and with a seed of its own unless one is given."""

import argparse
import secrets
import sys
import tempfile
from pathlib import Path

from tests.fuzz.run import echoing_server, fuzz


def main() -> None:
    parser = argparse.ArgumentParser(prog="make fuzz")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1 << 31))
    parser.add_argument("--examples", type=int, default=200)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with echoing_server(folder) as server:
            found = fuzz(server, folder, seed=asked.seed, num_examples=asked.examples)
    print(found.report)
    print(f"{found.num_cases} cases, seed {asked.seed}")
    sys.exit(found.exit_status)


if __name__ == "__main__":
    main()
