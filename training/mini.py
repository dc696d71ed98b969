"""`make train-mini`: trains parley-mini, or goes on where the last run was cut, then writes its files and its loss curve."""

import argparse
import sys
from pathlib import Path

from training import curve, export, train
from training.run_log import DEFAULT_RUN_DIR

# Chosen, not measured: enough for two cores to read some tens of millions of tokens. More is better.
_DEFAULT_MINUTES = 120


def main(arguments: list[str]) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Make parley-mini from this repository alone.")
    parser.add_argument("--run-dir", type=Path, default=DEFAULT_RUN_DIR)
    parser.add_argument("--minutes", type=float, default=_DEFAULT_MINUTES, help="training time in all")
    parser.add_argument("--processes", type=int, default=2, help="processes that train together, one thread each")
    options = parser.parse_args(arguments)
    run_dir: Path = options.run_dir
    place = ["--run-dir", str(run_dir)]
    train.main([*place, "--minutes", str(options.minutes), "--processes", str(options.processes)])
    gguf_file = run_dir / "parley-mini.gguf"
    export.main([*place, "--gguf", str(gguf_file), "--safetensors", str(run_dir / "safetensors")])
    curve.main(place)
    print(f"To ship it: cp {gguf_file} src/parley/bundled/parley-mini.gguf, then make eval-mini")


if __name__ == "__main__":
    main(sys.argv[1:])
