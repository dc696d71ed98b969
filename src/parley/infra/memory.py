"""How much memory this machine has to give."""

from pathlib import Path


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
