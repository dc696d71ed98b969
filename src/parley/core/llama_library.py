"""Which llama.cpp a worker loads: the one of the wheel, for every processor, or a build for this machine's (`make native`)."""

import importlib.metadata
import json
from pathlib import Path

# The wheel, or the sources of a build, whose structs we know.
SUPPORTED_VERSION = "2026.10.11549"
# In the folder of a build: the library, and what it was built of and for.
BUILT_LIBRARY, DESCRIPTION = "libmtmd.so", "build.json"
_PROCESSORS = Path("/proc/cpuinfo")


class Unsupported(Exception):
    """This build of the runtime is not the one whose layout we know, or not one for this processor."""


def library_path(build: Path | None = None, processors: Path = _PROCESSORS) -> Path:
    """The shared object with llama.h and mtmd.h: of the folder `build`, or of the wheel. Raises Unsupported."""
    if build is not None:
        return _built_library(build, processors)
    wheel = importlib.metadata.distribution("xllamacpp")
    _require("xllamacpp", wheel.version)
    return Path(str(wheel.locate_file("xllamacpp/xllamacpp.abi3.so")))


def processor_features(processors: Path = _PROCESSORS) -> list[str]:
    """What this machine's processor can do, in the kernel's words, sorted; empty where the kernel does not say."""
    try:
        lines = processors.read_text().splitlines()
    except OSError:
        return []
    # x86 has flags, ARM features.
    found = (line.partition(":")[2].split() for line in lines if line.split(":")[0].strip() in ("flags", "Features"))
    return sorted(next(found, []))


def library_identity(build: Path | None = None) -> str:
    """What tells builds apart that may choose other tokens: the version, and what it is built for."""
    if build is None:
        return SUPPORTED_VERSION
    try:
        return f"{SUPPORTED_VERSION} {(build / DESCRIPTION).read_text()}"
    except OSError:
        # Nothing answers with it.
        return f"{SUPPORTED_VERSION} {build}"


def _built_library(build: Path, processors: Path) -> Path:
    try:
        described = json.loads((build / DESCRIPTION).read_bytes())
        version, features = str(described["version"]), frozenset(map(str, described["features"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Unsupported(f"{build} holds no llama.cpp that `make native` built: {error}") from error
    _require(f"the llama.cpp in {build} is built of xllamacpp", version)
    # An instruction that the processor does not know ends the process without a word.
    missing = features - frozenset(processor_features(processors))
    if missing:
        raise Unsupported(
            f"the llama.cpp in {build} is built for another processor, which has {', '.join(sorted(missing)[:5])}"
        )
    return build / BUILT_LIBRARY


def _require(what: str, version: str) -> None:
    if version != SUPPORTED_VERSION:
        raise Unsupported(f"{what} {version}, not {SUPPORTED_VERSION}")
