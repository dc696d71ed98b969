"""CTranslate2's model files, read by ourselves: what a Whisper folder holds, before any runtime sees an unknown file."""

import math
import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

MODEL_FILE = "model.bin"
# The weights of a checkpoint in transformers' form, which is converted.
TRANSFORMERS_FILE = "model.safetensors"
# What says how text and sound become numbers; the same in every form of a model.
COPIED_FILES = ("tokenizer.json", "preprocessor_config.json")
# What is taken from a folder; the first three must be there.
TAKEN_FILES = (MODEL_FILE, "config.json", *COPIED_FILES, "vocabulary.json", "vocabulary.txt")
_NEEDED_FILES = TAKEN_FILES[:3]
_SPEC = "WhisperSpec"
_EMBEDDINGS = "decoder/embeddings/weight"
# A vocabulary of this size and above has tokens for languages and tasks.
_MULTILINGUAL_TOKENS = 51_865
_PLACES = 1_500
_MOST_VARIABLES = 100_000
_MOST_NAME_BYTES = 4_096


class InvalidSpeechFolder(Exception):
    """The folder is no Whisper model in CTranslate2's form; the message is for its owner."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WhisperFacts:
    """What the weights' own shapes say."""

    num_parameters: int
    is_multilingual: bool
    # Whether there is a language more than the 99 of before large-v3.
    hears_cantonese: bool
    # What the decoder keeps of each window while it writes: keys and values of 1,500 places in each layer, 32 bits each.
    window_bytes: int
    # Those that were distilled, or pruned to be fast, have a third of the encoder's layers in the decoder or fewer, and were never
    # taught to translate.
    can_translate: bool


def read_whisper(folder: Path) -> WhisperFacts:
    """The facts of a folder. Raises InvalidSpeechFolder."""
    if (folder / "pytorch_model.bin").is_file() and not (folder / MODEL_FILE).is_file():
        raise InvalidSpeechFolder(
            f"{folder} has its weights in pytorch_model.bin, which can hold code; {TRANSFORMERS_FILE} is converted"
        )
    missing = [name for name in _NEEDED_FILES if not (folder / name).is_file()]
    if missing:
        raise InvalidSpeechFolder(
            f"{folder} has no {missing[0]}; a Whisper model in CTranslate2's form has {', '.join(_NEEDED_FILES)}, "
            f"one in transformers' form {TRANSFORMERS_FILE} in one file"
        )
    try:
        with (folder / MODEL_FILE).open("rb") as file:
            shapes, num_parameters = _read_shapes(file)
    except (OSError, struct.error, UnicodeDecodeError, KeyError) as error:
        raise InvalidSpeechFolder(f"{folder / MODEL_FILE} cannot be read: {error}") from None
    layers = {side: _num_layers(shapes, side) for side in ("encoder", "decoder")}
    if _EMBEDDINGS not in shapes or not all(layers.values()):
        raise InvalidSpeechFolder(f"{folder / MODEL_FILE} lacks parts of a Whisper model")
    is_multilingual = shapes[_EMBEDDINGS][0] >= _MULTILINGUAL_TOKENS
    return WhisperFacts(
        num_parameters=num_parameters,
        is_multilingual=is_multilingual,
        hears_cantonese=shapes[_EMBEDDINGS][0] > _MULTILINGUAL_TOKENS,
        window_bytes=layers["decoder"] * 2 * _PLACES * shapes[_EMBEDDINGS][-1] * 4,
        can_translate=is_multilingual and 2 * layers["decoder"] > layers["encoder"],
    )


def _read_shapes(file: BinaryIO) -> tuple[dict[str, tuple[int, ...]], int]:
    """The shapes by name, and how many numbers of weights and biases there are; the numbers themselves are skipped."""
    (version,) = struct.unpack("<I", file.read(4))
    if version < 2 or _text(file) != _SPEC:
        raise InvalidSpeechFolder(f"{file.name} is no Whisper model in CTranslate2's form")
    file.seek(4, 1)
    shapes: dict[str, tuple[int, ...]] = {}
    for _ in range(_count(file)):
        name = _text(file)
        (rank,) = struct.unpack("<B", file.read(1))
        shapes[name] = struct.unpack(f"<{rank}I", file.read(4 * rank))
        _type, num_bytes = struct.unpack("<BI", file.read(5))
        file.seek(num_bytes, 1)
    num_parameters = sum(math.prod(shape) for name, shape in shapes.items() if name.endswith(("/weight", "/bias")))
    # What is the same in two places is there once.
    for _ in range(_count(file)):
        name, same = _text(file), _text(file)
        shapes[name] = shapes[same]
    return shapes, num_parameters


def _count(file: BinaryIO) -> int:
    (count,) = struct.unpack("<I", file.read(4))
    return min(int(count), _MOST_VARIABLES)


def _text(file: BinaryIO) -> str:
    (length,) = struct.unpack("<H", file.read(2))
    if length > _MOST_NAME_BYTES:
        raise InvalidSpeechFolder(f"{file.name} is no Whisper model in CTranslate2's form")
    return file.read(length).rstrip(b"\0").decode()


def _num_layers(shapes: dict[str, tuple[int, ...]], side: str) -> int:
    found = (re.match(rf"{side}/layer_(\d+)/", name) for name in shapes)
    return len({each[1] for each in found if each is not None})
