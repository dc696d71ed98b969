"""How much memory this machine has to give, and how much of it models may take together."""

import os
from pathlib import Path

# What containers limit: the files of both versions of control groups.
_LIMIT_FILES = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


def memory_budget_bytes(budget_mib: int | None) -> int:
    """The budget that was set, or three quarters of the machine's memory."""
    if budget_mib is not None:
        return budget_mib << 20
    return machine_memory_bytes() * 3 // 4


def machine_memory_bytes() -> int:
    """The machine's main memory, or the container's where that is less."""
    installed = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min([installed, *_container_limits()])


def _container_limits() -> list[int]:
    limits = []
    for file in _LIMIT_FILES:
        try:
            text = file.read_text().strip()
        except OSError:
            continue
        # "max" where there is none.
        if text.isdecimal():
            limits.append(int(text))
    return limits


def available_memory() -> int | None:
    """Bytes that programs may still take without others being put out; None where the kernel does not say."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    for line in lines:
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return None
