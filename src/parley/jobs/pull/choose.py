"""Which file of a repository to take: the quantisation asked for, else the best usual one that fits into memory."""

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from parley.jobs.pull.repository import PullFailed, RemoteFile, Repository

# Beside the weights: contexts of the default slots, the engine's own buffers, the server.
MEMORY_BESIDE_WEIGHTS_BYTES = 600 * 2**20
# From the usual compromise to better and larger, then to worse and smaller. A quantisation that is not in it is offered
# and never chosen.
_BY_PREFERENCE = (
    "Q4_K_M", "Q5_K_M", "Q4_K_S", "Q4_0", "IQ4_XS", "IQ4_NL", "Q5_K_S", "Q5_0", "Q6_K", "Q8_0",
    "Q3_K_M", "Q3_K_L", "Q3_K_S", "IQ3_M", "IQ3_S", "Q2_K", "MXFP4", "BF16", "F16", "F32",
)  # fmt: skip
_QUANTISATION = re.compile(
    r"(?:^|[-._])((?:UD-)?(?:I?Q\d(?:_[A-Z0-9]+)*|TQ\d_\d|MXFP4(?:_MOE)?|BF16|F16|FP16|F32|FP32))(?=$|[-._])",
    re.IGNORECASE,
)
_SPLIT = re.compile(r"-(\d{5})-of-(\d{5})$")
# What sees or hears for a model; its precision matters more than its size.
_PROJECTOR = re.compile(r"mmproj", re.IGNORECASE)
_PROJECTORS_BY_PREFERENCE = ("F16", "FP16", "BF16", "Q8_0", "F32", "FP32")
# Files that are no model by themselves: what sees or hears for one, and what was measured to quantise one.
_NO_MODEL = re.compile(r"mmproj|imatrix", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """One quantisation of a repository's model: a single file, or the files that it was split into."""

    quantisation: str
    files: tuple[RemoteFile, ...]

    @property
    def size(self) -> int:
        """Bytes of all its files."""
        return sum(file.size for file in self.files)

    @property
    def is_split(self) -> bool:
        return len(self.files) > 1 or _SPLIT.search(PurePosixPath(self.files[0].path).stem) is not None


def offers(repository: Repository) -> list[Offer]:
    """What can be chosen of a repository, the smallest first."""
    grouped: dict[str, list[RemoteFile]] = {}
    for file in repository.files:
        path = PurePosixPath(file.path)
        if path.suffix.lower() == ".gguf" and not _NO_MODEL.search(path.name):
            grouped.setdefault(_SPLIT.sub("", str(path.with_suffix(""))), []).append(file)
    found = [
        Offer(quantisation=quantisation_of(stem), files=tuple(sorted(files, key=lambda file: file.path)))
        for stem, files in grouped.items()
    ]
    return sorted(found, key=lambda offer: offer.size)


def quantisation_of(stem: str) -> str:
    """The quantisation in a file's name, in capitals; the name itself where it holds none."""
    found = _QUANTISATION.findall(PurePosixPath(stem).name)
    return found[-1].upper() if found else PurePosixPath(stem).name


def projector_of(repository: Repository) -> RemoteFile | None:
    """The file that sees for the repository's models, in the precision that its makers meant; None where there is none."""
    found = [
        file
        for file in repository.files
        if _PROJECTOR.search(PurePosixPath(file.path).name) and PurePosixPath(file.path).suffix.lower() == ".gguf"
    ]
    return min(found, key=_precision, default=None)


def _precision(file: RemoteFile) -> tuple[int, str]:
    quantisation = quantisation_of(str(PurePosixPath(file.path).with_suffix("")))
    known = quantisation in _PROJECTORS_BY_PREFERENCE
    return _PROJECTORS_BY_PREFERENCE.index(quantisation) if known else len(_PROJECTORS_BY_PREFERENCE), file.path


def find_offer(repository: Repository, choice: str) -> Offer:
    """The offer that an operator asked for by quantisation or file. Raises PullFailed, which says what there is."""
    available = offers(repository)
    wanted = [offer for offer in available if choice in {file.path for file in offer.files}]
    wanted = wanted or [offer for offer in available if offer.quantisation == choice.upper()]
    if len(wanted) > 1:
        names = ", ".join(offer.files[0].path for offer in wanted)
        raise PullFailed(f"{repository.name} has {choice} several times; name one file: {names}")
    if not wanted:
        raise PullFailed(f"{repository.name} has no {choice}; {_listed(repository, available)}")
    return _single(repository, wanted[0])


def default_offer(repository: Repository, memory_bytes: int | None) -> Offer:
    """The offer to take when nothing was asked for. Raises PullFailed when none fits into `memory_bytes` (None: unknown)."""
    available = [offer for offer in offers(repository) if not offer.is_split]
    # A model that comes in one form only need not say which it is.
    known = [offer for offer in available if offer.quantisation in _BY_PREFERENCE or len(available) == 1]
    fitting = [
        offer for offer in known if memory_bytes is None or offer.size + MEMORY_BESIDE_WEIGHTS_BYTES <= memory_bytes
    ]
    if fitting:
        return min(fitting, key=_rank)
    if known and memory_bytes is not None:
        raise PullFailed(
            f"nothing of {repository.name} fits into {memory_bytes / 1e9:,.1f} GB of memory; "
            f"{_listed(repository, known)}; name one to take it all the same"
        )
    raise PullFailed(f"{repository.name}: name what you want; {_listed(repository, offers(repository))}")


def _rank(offer: Offer) -> int:
    known = offer.quantisation in _BY_PREFERENCE
    return _BY_PREFERENCE.index(offer.quantisation) if known else len(_BY_PREFERENCE)


def _single(repository: Repository, offer: Offer) -> Offer:
    if not offer.is_split:
        return offer
    whole = [other for other in offers(repository) if not other.is_split]
    raise PullFailed(
        f"{offer.quantisation} of {repository.name} is split into {len(offer.files)} files, which Parley does not join; "
        f"{_listed(repository, whole)}; or join them (llama-gguf-split --merge) and use `parley models add`"
    )


def _listed(repository: Repository, available: list[Offer]) -> str:
    if not available:
        return f"it has {len(repository.files)} files, and no GGUF model in one file"
    return "it has " + ", ".join(f"{offer.quantisation} ({offer.size / 1e9:,.2f} GB)" for offer in available)
