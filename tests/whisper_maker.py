"""Whisper checkpoints of a megabyte, written without training and without torch: one that says a fixed sentence, one that
says what chance makes of the sound.

Its weights are zero where a model thinks. What remains is a decoder whose next token depends on its position alone, so that
every option that changes what stands before the answer (prompt, task, language) can be seen in the answer.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ctranslate2.specs import LayerSpec  # type: ignore[import-untyped]  # noqa: TID253 - it writes a model, and runs none
from ctranslate2.specs.whisper_spec import WhisperSpec  # type: ignore[import-untyped]  # noqa: TID253 - as above
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from parley.core.languages import LANGUAGES
from tests.whisper_forms import write_transformers

# Ids 0 to 50256 are text, of which programs know a multilingual checkpoint by the empty one in the last place.
NUM_TEXT_IDS = 50_257
NUM_BYTES = 256
CODES = [code for code in LANGUAGES if code != "yue"]
SPECIAL = [
    "<|endoftext|>", "<|startoftranscript|>", *(f"<|{code}|>" for code in CODES), "<|translate|>", "<|transcribe|>",
    "<|startoflm|>", "<|startofprev|>", "<|nospeech|>", "<|notimestamps|>",
    *(f"<|{number * 0.02:.2f}|>" for number in range(1_501)),
]  # fmt: skip
SAID = "hello"
DETECTED = "de"
# The first token of an answer, a moment: what is translated begins half a second later.
FIRST_TOKENS = {"transcribe": 50_364, "translate": 50_389}
WIDTH = 16
SHARPNESS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How large a model is, and how many tokens it writes of each window; None: as many as chance wills."""

    width: int = WIDTH
    num_layers: int = 2
    num_heads: int = 1
    num_tokens: int | None = None


# Whisper's own.
TINY = Size(width=384, num_layers=4, num_heads=6, num_tokens=52)


def make_whisper(folder: Path, *, num_decoder_layers: int = 1, num_encoder_layers: int = 1) -> Path:
    """A folder in CTranslate2's form."""
    tokenizer = _tokenizer()
    ids = {name: tokenizer.token_to_id(name) for name in SPECIAL}
    said = [ids["<|0.00|>"], *tokenizer.encode(SAID).ids, ids["<|1.00|>"], ids["<|endoftext|>"]]
    spec = WhisperSpec(num_encoder_layers, 1, num_decoder_layers, 1)
    tokens = _directions(tokenizer.get_vocab_size(), WIDTH)
    # Positions: start, language, task, then the answer.
    after = [ids[f"<|{DETECTED}|>"], ids["<|endoftext|>"], *said]
    positions = np.stack([tokens[after[min(place, len(after) - 1)]] for place in range(448)]) * 10
    # The token of the task is louder than its position.
    tokens[ids["<|translate|>"]] = tokens[ids["<|0.50|>"]] * 100
    _fill(spec, tokens, positions, _zeros)
    return _save(spec, tokenizer, folder)


def make_chance_whisper(folder: Path, *, quantization: str = "int8") -> Path:
    """A folder in CTranslate2's form, of a model that writes nonsense, other nonsense for every sound."""
    return _save(*_chance(Size()), folder, quantization=quantization)


def make_large_whisper(folder: Path, size: Size) -> Path:
    """A folder in CTranslate2's form, of a model of some size that writes nonsense of `size.num_tokens` for each window."""
    return _save(*_chance(size), folder, quantization="float16")


def make_transformers_whisper(folder: Path, *, kind: str = "F32") -> Path:
    """The model of `make_chance_whisper` in transformers' form, its numbers of a kind that safetensors files have."""
    spec, tokenizer = _chance(Size())
    folder.mkdir(parents=True, exist_ok=True)
    languages = {f"<|{code}|>": tokenizer.token_to_id(f"<|{code}|>") for code in CODES}
    write_transformers(folder, spec, generation={"alignment_heads": [[0, 0]], "lang_to_id": languages}, kind=kind)
    _save_tokenizer(tokenizer, folder)
    return folder


def _chance(size: Size) -> tuple[WhisperSpec, Tokenizer]:
    tokenizer, generator = _tokenizer(), np.random.default_rng(15)
    spec = WhisperSpec(size.num_layers, size.num_heads, size.num_layers, size.num_heads)

    def draw(*shape: int) -> np.ndarray:
        return generator.normal(0, 1.5 / np.sqrt(np.prod(shape[1:])), shape)

    tokens, positions = _directions(tokenizer.get_vocab_size(), size.width), draw(448, size.width) * 4
    if size.num_tokens is not None:
        # Behind the start, the language and the task.
        positions[3 + size.num_tokens :] = tokens[tokenizer.token_to_id("<|endoftext|>")] * 100
    _fill(spec, tokens, positions, draw)
    return spec, tokenizer


def _save(spec: WhisperSpec, tokenizer: Tokenizer, folder: Path, *, quantization: str = "int8") -> Path:
    ids = {name: tokenizer.token_to_id(name) for name in SPECIAL}
    names = [name for name, _ in sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])]
    spec.register_vocabulary(names)
    spec.config.suppress_ids = spec.config.suppress_ids_begin = []
    spec.config.lang_ids = [ids[f"<|{code}|>"] for code in CODES]
    spec.config.alignment_heads = [(0, 0)]
    spec.validate()
    spec.optimize(quantization=quantization)
    folder.mkdir(parents=True, exist_ok=True)
    spec.save(str(folder))
    _save_tokenizer(tokenizer, folder)
    return folder


def _save_tokenizer(tokenizer: Tokenizer, folder: Path) -> None:
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "preprocessor_config.json").write_text(json.dumps({"feature_size": 80}))


def _tokenizer() -> Tokenizer:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    texts = [*alphabet, *(f"\u2423{number}" for number in range(len(alphabet), NUM_TEXT_IDS - 1)), ""]
    tokenizer = Tokenizer(models.BPE(vocab={text: number for number, text in enumerate(texts)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in SPECIAL])
    return tokenizer


def _directions(count: int, width: int) -> np.ndarray:
    """As many vectors of one length and without a mean, in directions by chance."""
    vectors = np.random.default_rng(5).normal(size=(count, width))
    vectors -= vectors.mean(axis=1, keepdims=True)
    vectors *= np.sqrt(SHARPNESS) / np.linalg.norm(vectors, axis=1, keepdims=True)
    # What no text becomes is never the likeliest.
    vectors[NUM_BYTES:NUM_TEXT_IDS] *= 0.1
    return vectors


def _fill(spec: WhisperSpec, tokens: np.ndarray, positions: np.ndarray, draw: Callable[..., np.ndarray]) -> None:
    """`draw` makes all weights that are not given."""
    d = tokens.shape[1]
    encoder, decoder = spec.encoder, spec.decoder
    encoder.conv1.weight, encoder.conv1.bias = _drawn(draw, d, 80, 3), _zeros(d)
    encoder.conv2.weight, encoder.conv2.bias = _drawn(draw, d, d, 3), _zeros(d)
    encoder.position_encodings.encodings = _drawn(draw, 1_500, d)
    decoder.embeddings.weight = decoder.projection.weight = tokens.astype(np.float32)
    decoder.position_encodings.encodings = positions.astype(np.float32)
    for side in (encoder, decoder):
        _normal(side.layer_norm, d)
        for layer in side.layer:
            _attend(layer.self_attention, (3 * d, d), draw)
            if side is decoder:
                _attend(layer.attention, (d, 2 * d, d), draw)
            _normal(layer.ffn.layer_norm, d)
            _linear(layer.ffn.linear_0, 4 * d, d, draw)
            _linear(layer.ffn.linear_1, d, 4 * d, draw)


def _attend(attention: LayerSpec, widths: Sequence[int], draw: Callable[..., np.ndarray]) -> None:
    width = widths[-1]
    _normal(attention.layer_norm, width)
    for linear, rows in zip(attention.linear, widths, strict=True):
        _linear(linear, rows, width, draw)


def _linear(linear: LayerSpec, rows: int, columns: int, draw: Callable[..., np.ndarray]) -> None:
    linear.weight, linear.bias = _drawn(draw, rows, columns), _zeros(rows)


def _normal(norm: LayerSpec, width: int) -> None:
    norm.gamma, norm.beta = np.ones(width, np.float32), _zeros(width)


def _drawn(draw: Callable[..., np.ndarray], *shape: int) -> np.ndarray:
    return draw(*shape).astype(np.float32)


def _zeros(*shape: int) -> np.ndarray:
    return np.zeros(shape, np.float32)
