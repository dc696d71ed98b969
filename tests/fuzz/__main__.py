"""`make fuzz`: the run of test_openapi.py again and again, each pass on a fresh server with the next seed, until there were enough cases.

A pass takes a few minutes and is whole in itself: a run that was stopped goes on with the seed of the pass it was in.
"""

import argparse
import secrets
import sys
import tempfile
from pathlib import Path

from tests.fuzz.run import echoing_server, fuzz


def main() -> None:
    parser = argparse.ArgumentParser(prog="make fuzz")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1 << 31), help="of the first pass")
    parser.add_argument(
        "--examples", type=int, default=20, help="for each operation in a pass, beside those at its bounds"
    )
    parser.add_argument("--cases", type=int, default=20_000, help="how many are enough; less than a pass is a pass")
    asked = parser.parse_args()
    seed, num_cases, failed = asked.seed, 0, []
    while num_cases < asked.cases:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            with echoing_server(folder) as server:
                found = fuzz(server, folder, seed=seed, num_examples=asked.examples)
        num_cases += found.num_cases
        if found.exit_status:
            failed.append(seed)
            print(found.report)
        print(f"seed {seed}: {found.num_cases:,} cases, {num_cases:,} in all; {len(failed)} passes failed", flush=True)
        if not found.num_cases:
            sys.exit("nothing was called")
        seed += 1
    sys.exit(f"failures with the seeds {failed}" if failed else 0)


if __name__ == "__main__":
    main()
