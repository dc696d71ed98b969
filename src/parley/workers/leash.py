"""Starts an operator's own program so that it ends with us: `python -m parley.workers.leash PARENT_PID PROGRAM ARGUMENTS`.

The program replaces this process. When the parent dies, it gets SIGTERM, and so may end its own children.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    parent, command = int(sys.argv[1]), sys.argv[2:]
    # Only Linux has it; elsewhere a killed parent leaves the program behind.
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit("the process that wanted this program is gone")
    try:
        os.execvp(command[0], command)  # noqa: S606 - the operator's own command, never a client's
    except OSError as error:
        sys.exit(f"{command[0]} cannot be started: {error.strerror}")


if __name__ == "__main__":
    main()
