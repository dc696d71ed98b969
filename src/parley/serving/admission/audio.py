"""What a recording may cost before anybody has heard it, and how that grows where its container said too little."""

import math

from parley.core.errors import UnsupportedParameter
from parley.core.hold import Hold, Need
from parley.core.languages import LANGUAGES
from parley.core.snapshot import Weights
from parley.core.speech import TranscriptionRequest
from parley.serving.admission.allowance import Lender

# What a recording that does not say its length is held for: 32 kbit/s, as speech is usually sent.
_USUAL_BYTES_PER_SECOND = 4_000
# What is added where a recording turns out to be longer.
_BLOCK_SECONDS = 60
# So many languages are told by name in a refusal.
_MAX_NAMED = 10


def seconds_to_hold(claimed_seconds: float | None, *, num_bytes: int, max_seconds: float) -> int:
    """The seconds that are held for: what the container says, else what its size suggests; at most what may be heard."""
    is_said = claimed_seconds is not None and math.isfinite(claimed_seconds) and claimed_seconds > 0
    seconds = claimed_seconds if is_said and claimed_seconds is not None else num_bytes / _USUAL_BYTES_PER_SECOND
    return math.ceil(min(seconds, max_seconds))


def need_of_recording(num_seconds: int) -> Need:
    """What a recording must have covered at the start."""
    return Need(audio_seconds=num_seconds)


class AudioAllowance:
    """How many seconds of a recording may be heard by now: as many as are held for."""

    def __init__(self, hold: Hold, lender: Lender, *, num_seconds: int) -> None:
        self._hold = hold
        self._lender = lender
        self._num_seconds = num_seconds

    def cover(self, seconds: float) -> None:
        """Have so many seconds, from the start, held for. Raises RateLimited where no more are affordable."""
        # What is billed is rounded, so half a second more than was held costs nothing.
        missing = math.ceil(seconds - 0.5) - self._num_seconds
        if missing > 0:
            block = max(missing, _BLOCK_SECONDS)
            self._num_seconds += self._lender.extend_audio(self._hold, block, least=missing)


def check_hearing(request: TranscriptionRequest, weights: Weights) -> None:
    """Raise UnsupportedParameter for the first field that the model's engine cannot honour."""
    abilities, hearing = weights.speech, request.hearing
    if abilities is None:
        raise ValueError(f"{weights.name} does not hear")
    if hearing.language is not None and hearing.language not in abilities.languages:
        raise UnsupportedParameter(
            f"Unsupported value: 'language' does not support '{hearing.language}' with this model: {weights.name} "
            f"{_heard(hearing.language, abilities.languages)}.",
            param="language",
            code="unsupported_value",
        )
    if hearing.prompt and not abilities.takes_prompt:
        raise _unsupported("prompt", weights)
    if hearing.temperature and not abilities.takes_temperature:
        raise _unsupported("temperature", weights)


def _unsupported(param: str, weights: Weights) -> UnsupportedParameter:
    return UnsupportedParameter(
        f"Unsupported parameter: '{param}' is not supported with this model: {weights.name} cannot take it into account.",
        param=param,
    )


def _heard(wanted: str, languages: frozenset[str]) -> str:
    if len(languages) > _MAX_NAMED:
        return f"does not hear {LANGUAGES[wanted]}"
    return f"hears {', '.join(sorted(LANGUAGES[code] for code in languages))} only"
