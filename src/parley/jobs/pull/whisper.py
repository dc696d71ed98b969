"""Which files of a repository are a Whisper model: CTranslate2's form as it is, that of transformers to be converted."""

from parley.core.ct2 import COPIED_FILES, MODEL_FILE, TAKEN_FILES, TRANSFORMERS_FILE
from parley.jobs.pull.repository import RemoteFile, Repository

# Without any of these a repository is none of Whisper's in transformers' form, or none that can be converted.
_TRANSFORMERS_NEEDED = (TRANSFORMERS_FILE, "config.json", *COPIED_FILES)
_CT2_NEEDED = (MODEL_FILE, "config.json", "tokenizer.json")


def whisper_files(repository: Repository) -> tuple[RemoteFile, ...] | None:
    """What to take of a repository that holds a model that hears; None for any other."""
    at_root = {file.path: file for file in repository.files if "/" not in file.path}
    if any(path.endswith(".gguf") for path in at_root):
        return None
    for needed, taken in (
        (_CT2_NEEDED, TAKEN_FILES),
        (_TRANSFORMERS_NEEDED, (*_TRANSFORMERS_NEEDED, "generation_config.json")),
    ):
        if all(name in at_root for name in needed):
            return tuple(at_root[name] for name in taken if name in at_root)
    return None
