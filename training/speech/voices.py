"""The voices of espeak-ng that speak the corpus; a few of them are held out and heard by no training step."""

import subprocess
from dataclasses import dataclass
from random import Random

import av
import numpy as np
from numpy.typing import NDArray

from training.corpus.draw import Side

SAMPLE_RATE = 16_000
# Accents of English; German has one. "en" is that of Great Britain: called en-gb it would speak without its variants.
ACCENTS = {"en": ("en-us", "en", "en-gb-x-rp", "en-gb-scotland"), "de": ("de",)}
# Variants of espeak-ng: who speaks. Those that whisper, croak or sing are left out.
_VARIANTS = ("m1", "m2", "m3", "m4", "m5", "m6", "m7", "f1", "f2", "f3", "f4", "f5")
_MORE_VARIANTS = ("Alex", "Andrea", "Denis", "Diogo", "Lee", "Mario", "Michael", "belinda", "edward", "linda", "steph")
_TRAINED = (*_VARIANTS[:5], *_VARIANTS[6:10], *_VARIANTS[11:], *_MORE_VARIANTS[:8], *_MORE_VARIANTS[9:])
HELD_OUT = (_VARIANTS[5], _VARIANTS[10], _MORE_VARIANTS[8])
_SYNTHESIS_SECONDS = 20.0
# Below one part in two hundred of full scale nothing is heard.
_SILENCE = 32768 // 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Voice:
    """How a sentence is spoken: `speed` in words per minute, `pitch` 0 to 99 (espeak-ng's default is 50)."""

    language: str
    name: str
    speed: int
    pitch: int


def draw_voice(random: Random, language: str, side: Side) -> Voice:
    """A voice of this side that speaks `language` (en or de)."""
    variant = random.choice(_TRAINED if side is Side.TRAIN else HELD_OUT)
    return Voice(
        language=language,
        name=f"{random.choice(ACCENTS[language])}+{variant}",
        speed=random.randint(130, 200),
        pitch=random.randint(35, 65),
    )


def speak(text: str, voice: Voice) -> NDArray[np.int16]:
    """The sentence as 16 kHz mono, with the silence at its ends cut off. Raises FileNotFoundError without espeak-ng."""
    command = ["espeak-ng", "-v", voice.name, "-s", str(voice.speed), "-p", str(voice.pitch), "--stdout", text]
    spoken = subprocess.run(command, check=True, capture_output=True, timeout=_SYNTHESIS_SECONDS).stdout
    # espeak-ng cannot seek back in a pipe, so its header's lengths are not true; the samples follow it at 44.
    samples = np.frombuffer(spoken[44 : 44 + (len(spoken) - 44) // 2 * 2], dtype=np.int16)
    rate = int.from_bytes(spoken[24:28], "little")
    return trimmed(resampled(samples, rate))[0]


def resampled(samples: NDArray[np.int16], rate: int) -> NDArray[np.int16]:
    """Samples of any rate at 16 kHz."""
    frame = av.AudioFrame.from_ndarray(samples[None, :], format="s16", layout="mono")
    frame.sample_rate = rate
    resampler = av.AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE)
    parts = [out.to_ndarray()[0] for given in (frame, None) for out in resampler.resample(given)]
    return np.concatenate(parts).astype(np.int16)


def trimmed(samples: NDArray[np.int16]) -> tuple[NDArray[np.int16], int]:
    """What is between the silences at both ends, and how many samples the first of them had."""
    loud = np.flatnonzero(np.abs(samples.astype(np.int32)) > _SILENCE)
    if not len(loud):
        raise ValueError("espeak-ng spoke nothing")
    return samples[loud[0] : loud[-1] + 1], int(loud[0])
