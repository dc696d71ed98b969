"""The entry of every worker program: takes rights away from this process, says which are gone, then runs the worker.

    python -m parley.workers.confine '<limits as JSON>' <worker module> <its arguments>

What the kernel does not allow is left out and reported as not held; the caller decides whether that is enough.
"""

import ctypes
import json
import os
import platform
import resource
import runpy
import signal
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from parley.core.channel import pack

_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP = 1, 38, 22
_SECCOMP_MODE_FILTER = 2
# Landlock's three calls have the same numbers on every architecture. The rights are the thirteen of its first version.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF, _RULE_PATH_BENEATH = 444, 445, 446, 1
_EXECUTE, _READ_FILE, _READ_FOLDER, _EVERY_RIGHT = 1 << 0, 1 << 2, 1 << 3, (1 << 13) - 1
# Where libraries are, beside Python's own folders.
_LIBRARIES = ("/usr", "/lib", "/lib64")
_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
# Audit architecture, then the numbers of socket(2) and io_uring_setup(2): the two calls that can make a socket.
_SYSCALLS = {"x86_64": (0xC000003E, 41, 425), "aarch64": (0xC00000B7, 198, 425)}


def main() -> None:
    limits, module, arguments = json.loads(sys.argv[1]), sys.argv[2], sys.argv[3:]
    held = confine(limits)
    # The first message; whatever the worker's libraries print must not get between messages, so they print to stderr.
    os.write(1, pack({"event": "confined", "held": held}))
    sys.argv = [module, *arguments]
    if module != "-":
        runpy.run_module(module, run_name="__main__", alter_sys=True)


def confine(limits: dict[str, Any]) -> dict[str, bool]:
    """Apply everything, weakest promise last; the keys are what `parley doctor` shows."""
    libc = ctypes.CDLL(None, use_errno=True)
    held = {"rlimits": _set_rlimits(limits), "network_namespace": _leave_network(libc)}
    held["no_new_privileges"] = libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
    held["socket_filter"] = held["no_new_privileges"] and _filter_sockets(libc)
    if limits.get("folder") is not None:
        held["own_folder_alone"] = held["no_new_privileges"] and _stay_in(libc, limits["folder"])
    # After the namespace: a change of credentials clears the signal. The check closes the gap in which the parent died.
    held["dies_with_parent"] = libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) == 0
    if os.getppid() != limits["parent"]:
        sys.exit("the process that wanted this worker is gone")
    return held


def _set_rlimits(limits: dict[str, Any]) -> bool:
    wanted = {
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_NOFILE: limits["num_files"],
        resource.RLIMIT_FSIZE: limits["file_bytes"],
        resource.RLIMIT_AS: limits["address_space_bytes"],
        resource.RLIMIT_CPU: limits["cpu_seconds"],
    }
    results = [_set_rlimit(kind, value) for kind, value in wanted.items() if value is not None]
    return all(results)


def _set_rlimit(kind: int, value: int) -> bool:
    _, hard = resource.getrlimit(kind)
    limit = value if hard == resource.RLIM_INFINITY else min(value, hard)
    return _tried(lambda: resource.setrlimit(kind, (limit, limit)))


def _leave_network(libc: ctypes.CDLL) -> bool:
    """A network namespace without interfaces; Unix sockets with a path are in the file system and keep working."""
    user, group = os.getuid(), os.getgid()
    if libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET) == 0:
        # Keeps our own ids readable inside; without it everything still works under the overflow id.
        for name, text in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
            _tried(lambda name=name, text=text: Path(f"/proc/self/{name}").write_text(text))  # type: ignore[misc]
        return True
    return bool(libc.unshare(_CLONE_NEWNET) == 0)


def _stay_in(libc: ctypes.CDLL, folder: str) -> bool:
    """Read nothing but programs, libraries and this folder, and write nothing: Landlock, where the kernel has it."""
    ruleset = libc.syscall(_CREATE_RULESET, struct.pack("<Q", _EVERY_RIGHT), 8, 0)
    if ruleset < 0:
        return False
    for place in {*_LIBRARIES, sys.prefix, sys.base_prefix, *sys.path, folder}:
        try:
            descriptor = os.open(place, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:
            continue
        rule = struct.pack("<Qi", _EXECUTE | _READ_FILE | _READ_FOLDER, descriptor)
        libc.syscall(_ADD_RULE, ruleset, _RULE_PATH_BENEATH, rule, 0)
        os.close(descriptor)
    return bool(libc.syscall(_RESTRICT_SELF, ruleset, 0) == 0)


def _filter_sockets(libc: ctypes.CDLL) -> bool:
    """A seccomp filter under which only Unix sockets can be made; holds where namespaces are forbidden."""
    known = _SYSCALLS.get(platform.machine())
    if known is None:
        return False
    architecture, socket_call, io_uring_call = known
    load, equal, answer = 0x20, 0x15, 0x06
    allow, refuse = 0x7FFF0000, 0x00050000 | 13  # errno EACCES
    steps = [
        (load, 0, 0, 4),  # which architecture
        (equal, 1, 0, architecture),
        (answer, 0, 0, refuse),
        (load, 0, 0, 0),  # which call
        (equal, 3, 0, io_uring_call),
        (equal, 0, 3, socket_call),
        (load, 0, 0, 16),  # socket's first argument: the family
        (equal, 1, 0, 1),  # AF_UNIX
        (answer, 0, 0, refuse),
        (answer, 0, 0, allow),
    ]
    program = b"".join(struct.pack("<HBBI", *step) for step in steps)
    code = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("<HxxxxxxQ", len(steps), ctypes.addressof(code))
    return bool(libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, header, 0, 0) == 0)


def _tried(act: Callable[[], object]) -> bool:
    try:
        act()
    except (OSError, ValueError):
        return False
    return True


if __name__ == "__main__":
    main()
