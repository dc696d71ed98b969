"""What files are by their content, whatever they are called: those whose reading would run code are not kept."""

import json
from pathlib import Path

from parley.jobs.pull.repository import PullFailed

# A zip archive is what torch.save writes today; a pickle of protocol 2 to 5 is what it wrote before, and what others write.
_ARCHIVE = b"PK\x03\x04"
_PICKLES = tuple(bytes((0x80, protocol)) for protocol in range(2, 6))
_MAX_SETTINGS_BYTES = 16 << 20


def refuse_code(path: Path) -> None:
    """Raise PullFailed for a pulled file that could run code, or that is not of the kind that its name says."""
    with path.open("rb") as file:
        begin = file.read(10)
    if begin.startswith((_ARCHIVE, *_PICKLES)):
        raise PullFailed(f"{path.name} is a pickle or an archive of pickles, which can hold code; it was removed")
    suffix = path.suffix.lower()
    if suffix == ".gguf" and not begin.startswith(b"GGUF"):
        raise PullFailed(f"{path.name} is no GGUF file, whatever its name says; it was removed")
    # A header's length in eight bytes, then the header, which is JSON.
    if suffix == ".safetensors" and begin[8:9] != b"{":
        raise PullFailed(f"{path.name} is no safetensors file, whatever its name says; it was removed")
    if suffix == ".json":
        _refuse_code_of_its_own(path)


def _refuse_code_of_its_own(path: Path) -> None:
    if path.stat().st_size > _MAX_SETTINGS_BYTES:
        return
    try:
        settings = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        raise PullFailed(f"{path.name} is not JSON; it was removed") from None
    if isinstance(settings, dict) and ("auto_map" in settings or settings.get("trust_remote_code")):
        raise PullFailed(f"{path.name} asks for code of the model's own to be run; Parley runs none of it")
