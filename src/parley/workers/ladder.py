"""When a window of Whisper's has not succeeded, and what is taken where no temperature brings better: decided on tokens alone."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

# A loop has so many tokens at the least: people do say a word several times.
_LEAST_LOOP_TOKENS = 12
# Longer phrases are not looked for.
_LONGEST_PHRASE = 48


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """Whisper's thresholds, and how often a phrase may be said in a row; 0 is as often as it likes."""

    compression_ratio: float = 2.4
    log_prob: float = -1.0
    no_speech: float = 0.6
    max_repeats: int = 4


@dataclass(frozen=True, slots=True)
class Loop:
    """A phrase that is said again and again: where it begins, its length, and how often it stands there."""

    start: int
    length: int
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """A window as it was decoded at one temperature."""

    tokens: tuple[int, ...]
    temperature: float
    avg_logprob: float
    no_speech_prob: float
    compression_ratio: float
    has_loop: bool

    def has_failed(self, rules: Rules) -> bool:
        """Whether it is to be decoded again. A window in which nobody speaks is not."""
        is_unlikely = self.avg_logprob < rules.log_prob
        if is_unlikely and self.no_speech_prob > rules.no_speech:
            return False
        return is_unlikely or self.has_loop or self.compression_ratio > rules.compression_ratio


def best(attempts: Sequence[Attempt], rules: Rules) -> Attempt:
    """What is taken where all have failed: the likeliest of those that do not repeat themselves, or of all."""
    varied = [each for each in attempts if not each.has_loop and each.compression_ratio <= rules.compression_ratio]
    return max(varied or attempts, key=lambda each: each.avg_logprob)


def compression_ratio(text: str) -> float:
    """How much smaller a text can be made: repeated text more than any other."""
    written = text.encode()
    return len(written) / len(zlib.compress(written))


def find_loop(tokens: Sequence[int], max_repeats: int) -> Loop | None:
    """The first phrase that stands more than `max_repeats` times in a row."""
    if not max_repeats:
        return None
    for start in range(len(tokens)):
        for length in range(1, min(_LONGEST_PHRASE, (len(tokens) - start) // 2) + 1):
            count = _repeats(tokens, start, length)
            if count > max_repeats and count * length >= _LEAST_LOOP_TOKENS:
                return Loop(start, length, count)
    return None


def _repeats(tokens: Sequence[int], start: int, length: int) -> int:
    phrase, count = tokens[start : start + length], 1
    while tokens[start + count * length : start + (count + 1) * length] == phrase:
        count += 1
    return count


def without_loops(tokens: Sequence[int], first_moment: int, max_repeats: int) -> tuple[int, ...]:
    """The tokens with each loop cut down to `max_repeats`. Tokens from `first_moment` on are moments, and no text."""
    kept = tuple(tokens)
    while True:
        places = [place for place, token in enumerate(kept) if token < first_moment]
        loop = find_loop([kept[place] for place in places], max_repeats)
        if loop is None:
            return kept
        last_kept = places[loop.start + max_repeats * loop.length - 1]
        last_cut = places[loop.start + loop.count * loop.length - 1]
        head, tail = kept[: last_kept + 1], kept[last_cut + 1 :]
        ends_segment = last_kept + 1 < len(kept) and kept[last_kept + 1] >= first_moment
        if ends_segment:
            # The moment at which the last kept phrase ends, in the place of that of the last one that was cut.
            head, tail = (*head, kept[last_kept + 1]), tail[1:]
        kept = (*head, *tail)
