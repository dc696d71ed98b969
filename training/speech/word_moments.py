"""Sentences with the moment at which each word begins, which espeak-ng's library tells while it speaks."""

import ctypes
import ctypes.util
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.speech.voices import Voice, resampled, trimmed

_OK = 0
_RETRIEVAL = 1
_BY_CHARACTER, _UTF8 = 1, 1
_RATE, _PITCH = 1, 3
_WORD, _LIST_ENDS = 1, 0


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", ctypes.c_char * 8),
    )


class _Properties(ctypes.Structure):
    """espeak_VOICE, of which only `languages` is asked for."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("languages", ctypes.c_char_p),
        ("identifier", ctypes.c_char_p),
        ("gender", ctypes.c_ubyte),
        ("age", ctypes.c_ubyte),
        ("variant", ctypes.c_ubyte),
        ("xx1", ctypes.c_ubyte),
        ("score", ctypes.c_int),
        ("spare", ctypes.c_void_p),
    )


_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


@dataclass(frozen=True, slots=True, kw_only=True)
class SpokenWords:
    """A sentence as 16 kHz mono; `starts` are the seconds at which its words begin."""

    sound: NDArray[np.int16]
    starts: tuple[float, ...]


class Speaker:
    """espeak-ng's library, of which a process has one. Raises FileNotFoundError where it is not installed."""

    def __init__(self) -> None:
        path = ctypes.util.find_library("espeak-ng")
        if path is None:
            raise FileNotFoundError("libespeak-ng is not installed: apt-get install espeak-ng")
        self._library = ctypes.CDLL(path)
        self._rate = int(self._library.espeak_Initialize(_RETRIEVAL, 0, None, 0))
        self._parts: list[NDArray[np.int16]] = []
        self._starts: list[float] = []
        # The library keeps no reference of its own.
        self._callback = _Callback(self._take)
        self._library.espeak_SetSynthCallback(self._callback)

    def speak(self, text: str, voice: Voice) -> SpokenWords:
        """The sentence by a voice, as `voices.speak` has it."""
        self._parts, self._starts = [], []
        self._choose(voice.name.encode())
        self._library.espeak_SetParameter(_RATE, voice.speed, 0)
        self._library.espeak_SetParameter(_PITCH, voice.pitch, 0)
        written = text.encode()
        self._library.espeak_Synth(written, len(written) + 1, 0, _BY_CHARACTER, 0, _UTF8, None, None)
        self._library.espeak_Synchronize()
        sound, num_cut = trimmed(resampled(np.concatenate(self._parts), self._rate))
        starts = tuple(max(start - num_cut / 16_000, 0.0) for start in self._starts)
        return SpokenWords(sound=sound, starts=starts)

    def _choose(self, name: bytes) -> None:
        """As the command line does: en-gb is no voice's name, but a language that one speaks. Raises ValueError."""
        if self._library.espeak_SetVoiceByName(name) == _OK:
            return
        wanted = _Properties(languages=name)
        if self._library.espeak_SetVoiceByProperties(ctypes.byref(wanted)) != _OK:
            raise ValueError(f"espeak-ng has no voice {name.decode()}")

    def _take(self, samples: "ctypes._Pointer[ctypes.c_short]", count: int, events: "ctypes._Pointer[_Event]") -> int:
        if samples and count:
            self._parts.append(np.ctypeslib.as_array(samples, (count,)).astype(np.int16))
        number = 0
        while events[number].type != _LIST_ENDS:
            if events[number].type == _WORD:
                self._starts.append(events[number].audio_position / 1000)
            number += 1
        return 0
