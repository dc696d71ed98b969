"""Where somebody speaks: the silero model over samples as they come, and the stretches of speech that its probabilities make."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE = 16_000
# What the model judges at a time, and what of the frame before it sees with it.
FRAME_SAMPLES = 512
_CONTEXT_SAMPLES = 64
_STATE_SHAPE = (1, 1, 128)
_FULL_SCALE = 32_768.0
# Speech goes on until the probability is so far below the threshold, for so many frames.
_RELEASE = 0.15
_LEAST_RELEASE = 0.01
_PAUSE_FRAMES = 3
# Nothing louder than this (of 32,768) is speech: what decoders and converters leave of digital silence.
_SILENT_PEAK = 16

Samples = NDArray[np.int16]
# From a sample to the one behind the last.
Stretch = tuple[int, int]


class Ear(Protocol):
    """Listens to one recording. Keeps what it needs to remember between two calls."""

    def probabilities(self, frames: Samples) -> NDArray[np.float32]:
        """How likely somebody speaks, frame by frame; `frames` has FRAME_SAMPLES in each row."""
        ...


class SileroEar:
    """Implements `Ear` with the model that faster-whisper's package brings."""

    def __init__(self, session: Any) -> None:  # noqa: ANN401 - onnxruntime's own type, which is not imported here
        self._session = session
        self._state = np.zeros(_STATE_SHAPE, np.float32), np.zeros(_STATE_SHAPE, np.float32)
        self._context = np.zeros(_CONTEXT_SAMPLES, np.float32)

    def probabilities(self, frames: Samples) -> NDArray[np.float32]:
        scaled = frames.astype(np.float32) / _FULL_SCALE
        before = np.vstack([self._context, scaled[:-1, -_CONTEXT_SAMPLES:]])
        self._context = scaled[-1, -_CONTEXT_SAMPLES:]
        hidden, cell = self._state
        asked = {"input": np.hstack([before, scaled]), "h": hidden, "c": cell}
        found, hidden, cell = self._session.run(None, asked)
        self._state = hidden, cell
        likely: NDArray[np.float32] = found.reshape(-1)
        return likely


class LevelEar:
    """Implements `Ear` without a model: whatever is louder than digital silence."""

    def probabilities(self, frames: Samples) -> NDArray[np.float32]:
        peaks: NDArray[np.int32] = np.abs(frames.astype(np.int32)).max(axis=1)
        return (peaks > _SILENT_PEAK).astype(np.float32)


def ear_maker(threshold: float) -> Callable[[], Ear]:
    """What makes an ear for each recording, its model loaded once; a threshold of 0 wants none."""
    if not threshold:
        return LevelEar
    # Imported here: what they print must not come between messages.
    import onnxruntime  # type: ignore[import-untyped]  # noqa: PLC0415 - as above
    from faster_whisper.utils import get_assets_path  # type: ignore[import-untyped]

    options = onnxruntime.SessionOptions()
    options.inter_op_num_threads = options.intra_op_num_threads = 1
    options.enable_cpu_mem_arena = False
    path = Path(get_assets_path()) / "silero_vad_v6.onnx"
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"], sess_options=options)
    return lambda: SileroEar(session)


class Speech:
    """The stretches of one recording in which somebody speaks, as far as it came."""

    def __init__(self, ear: Ear, threshold: float) -> None:
        self._ear = ear
        self._threshold = threshold or 0.5
        self._release = max(self._threshold - _RELEASE, _LEAST_RELEASE)
        self._rest: Samples = np.empty(0, np.int16)
        self._num_frames = 0
        self._closed: list[Stretch] = []
        # The frame in which somebody began, and the one since which nobody may be speaking any more.
        self._began: int | None = None
        self._pausing: int | None = None

    def push(self, samples: Samples) -> None:
        """More samples."""
        joined = np.concatenate([self._rest, samples])
        whole = len(joined) // FRAME_SAMPLES * FRAME_SAMPLES
        self._rest = joined[whole:]
        if whole:
            for probability in self._ear.probabilities(joined[:whole].reshape(-1, FRAME_SAMPLES)):
                self._note(float(probability))

    def end(self) -> None:
        """No more samples: what is left of a frame counts as one."""
        if len(self._rest):
            self.push(np.zeros(FRAME_SAMPLES - len(self._rest), np.int16))

    def between(self, start: int, end: int) -> list[Stretch]:
        """What of the stretches lies between two samples; one that goes on lasts to `end`."""
        found = list(self._closed)
        if self._began is not None:
            found.append((self._began * FRAME_SAMPLES, end))
        return [(max(first, start), min(last, end)) for first, last in found if first < end and last > start]

    def forget(self, before: int) -> None:
        """Stretches that end before a sample are not asked for again."""
        self._closed = [each for each in self._closed if each[1] > before]

    def _note(self, probability: float) -> None:
        number = self._num_frames
        self._num_frames += 1
        if probability >= self._threshold:
            self._pausing = None
            if self._began is None:
                self._began = number
        elif probability < self._release and self._began is not None:
            if self._pausing is None:
                self._pausing = number
            if number - self._pausing >= _PAUSE_FRAMES:
                self._closed.append((self._began * FRAME_SAMPLES, self._pausing * FRAME_SAMPLES))
                self._began = self._pausing = None
