"""The converter: makes CTranslate2's form of a Whisper checkpoint out of transformers' own, without torch, and ends.

    python -m parley.workers.confine '<limits>' parley.workers.convert_whisper '{"source": "…", "target": "…"}'

Both are folders; the target is empty. It says `ready`, then `finished`, or `refused` with the reason where something is not
understood. Weights become 16-bit numbers, which each machine's runtime turns into what it computes with.
"""

import itertools
import json
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parley.core.ct2 import COPIED_FILES
from parley.core.languages import LANGUAGES
from parley.core.safetensors import InvalidTensors, Tensor, read_tensors
from parley.workers.voice import Voice

_WEIGHTS = "model.safetensors"
_NUMBERS = {"F64": np.float64, "F32": np.float32, "F16": np.float16, "BF16": np.uint16}
_LANGUAGE = re.compile(r"<\|([a-z]{2,3})\|>")
_MOST_LAYERS = 256

Weights = NDArray[np.float16]


class NotUnderstood(Exception):
    """The folder cannot be converted; the message is for its owner."""


class Checkpoint:
    """The tensors of a folder, by transformers' names. Each is read when it is asked for, and may be asked for once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._tensors: dict[str, Tensor] = dict(read_tensors(path))

    def take(self, name: str, *shape: int) -> Weights:
        """A tensor, which must have `shape`. Raises NotUnderstood."""
        tensor = self._tensors.pop(name, None)
        if tensor is None:
            raise NotUnderstood(f"{_WEIGHTS} has no {name}")
        if tensor.shape != shape:
            raise NotUnderstood(f"{name} has the shape {tensor.shape}, and config.json means {shape}")
        raw = np.memmap(self._path, _NUMBERS[tensor.kind], "r", tensor.offset, shape)
        numbers = (raw.astype(np.uint32) << 16).view(np.float32) if tensor.kind == "BF16" else raw
        return numbers.astype(np.float16)

    def has(self, name: str) -> bool:
        return name in self._tensors

    def left(self) -> list[str]:
        """What nobody asked for."""
        return sorted(self._tensors)


def convert(source: Path, target: Path) -> None:
    """Write CTranslate2's form of `source` into `target`. Raises NotUnderstood, InvalidTensors or OSError."""
    # Imported here: what it prints must not come between messages.
    from ctranslate2.specs.whisper_spec import WhisperSpec  # type: ignore[import-untyped]

    config = _read_json(source / "config.json")
    _refuse_others(config)
    layers = {side: _count(config, f"{side}_layers") for side in ("encoder", "decoder")}
    heads = {side: _count(config, f"{side}_attention_heads") for side in ("encoder", "decoder")}
    spec = WhisperSpec(layers["encoder"], heads["encoder"], layers["decoder"], heads["decoder"])
    checkpoint = Checkpoint(source / _WEIGHTS)
    _fill_encoder(spec.encoder, checkpoint, config)
    _fill_decoder(spec.decoder, checkpoint, config)
    # The output layer is the embedding again.
    if checkpoint.has("proj_out.weight"):
        checkpoint.take("proj_out.weight", _count(config, "vocab_size"), _count(config, "d_model"))
    if left := checkpoint.left():
        raise NotUnderstood(f"{_WEIGHTS} has {left[0]}, of which nothing is known")
    tokens = _vocabulary(_read_json(source / "tokenizer.json"), _count(config, "vocab_size"))
    spec.register_vocabulary(tokens)
    _fill_config(spec.config, _generation(source) or config, config, tokens)
    spec.validate()
    spec.optimize(quantization="float16")
    spec.save(str(target))
    for name in COPIED_FILES:
        if (source / name).is_file():
            shutil.copyfile(source / name, target / name)


def _refuse_others(config: Mapping[str, Any]) -> None:
    known = {"model_type": "whisper", "activation_function": "gelu", "scale_embedding": False}
    for name, value in known.items():
        if config.get(name, value) != value:
            raise NotUnderstood(f"config.json has {name} {config[name]!r}; {value!r} is understood")


def _fill_encoder(spec: Any, checkpoint: Checkpoint, config: Mapping[str, Any]) -> None:  # noqa: ANN401 - CTranslate2 has no types
    width = _count(config, "d_model")
    side = "model.encoder"
    for number, inner in ((1, _count(config, "num_mel_bins")), (2, width)):
        layer = getattr(spec, f"conv{number}")
        layer.weight = checkpoint.take(f"{side}.conv{number}.weight", width, inner, 3)
        layer.bias = checkpoint.take(f"{side}.conv{number}.bias", width)
    _fill_shared(spec, checkpoint, side, _count(config, "max_source_positions"), width)
    for number, layer in enumerate(spec.layer):
        at = f"{side}.layers.{number}"
        _fill_attention(layer.self_attention, checkpoint, f"{at}.self_attn", width, is_self=True)
        _fill_ffn(layer.ffn, checkpoint, at, width, _count(config, "encoder_ffn_dim"))


def _fill_decoder(spec: Any, checkpoint: Checkpoint, config: Mapping[str, Any]) -> None:  # noqa: ANN401 - as above
    width, side = _count(config, "d_model"), "model.decoder"
    embedding = checkpoint.take(f"{side}.embed_tokens.weight", _count(config, "vocab_size"), width)
    spec.embeddings.weight = spec.projection.weight = embedding
    _fill_shared(spec, checkpoint, side, _count(config, "max_target_positions"), width)
    for number, layer in enumerate(spec.layer):
        at = f"{side}.layers.{number}"
        _fill_attention(layer.self_attention, checkpoint, f"{at}.self_attn", width, is_self=True)
        _fill_attention(layer.attention, checkpoint, f"{at}.encoder_attn", width, is_self=False)
        _fill_ffn(layer.ffn, checkpoint, at, width, _count(config, "decoder_ffn_dim"))


def _fill_shared(spec: Any, checkpoint: Checkpoint, side: str, num_places: int, width: int) -> None:  # noqa: ANN401 - as above
    spec.position_encodings.encodings = checkpoint.take(f"{side}.embed_positions.weight", num_places, width)
    _fill_norm(spec.layer_norm, checkpoint, f"{side}.layer_norm", width)


def _fill_attention(spec: Any, checkpoint: Checkpoint, at: str, width: int, *, is_self: bool) -> None:  # noqa: ANN401 - as above
    """Queries, keys and values in one matrix; towards the encoder, queries in one and keys and values in another."""
    weights = [checkpoint.take(f"{at}.{each}_proj.weight", width, width) for each in "qkv"]
    # Keys have no bias in Whisper.
    query, value = (checkpoint.take(f"{at}.{each}_proj.bias", width) for each in "qv")
    biases = [query, np.zeros(width, np.float16), value]
    parts = [slice(0, 3)] if is_self else [slice(0, 1), slice(1, 3)]
    for linear, part in zip(spec.linear, parts, strict=False):
        linear.weight, linear.bias = np.concatenate(weights[part]), np.concatenate(biases[part])
    spec.linear[-1].weight = checkpoint.take(f"{at}.out_proj.weight", width, width)
    spec.linear[-1].bias = checkpoint.take(f"{at}.out_proj.bias", width)
    _fill_norm(spec.layer_norm, checkpoint, f"{at}_layer_norm", width)


def _fill_ffn(spec: Any, checkpoint: Checkpoint, at: str, width: int, inner: int) -> None:  # noqa: ANN401 - as above
    for linear, name, rows, columns in ((spec.linear_0, "fc1", inner, width), (spec.linear_1, "fc2", width, inner)):
        linear.weight = checkpoint.take(f"{at}.{name}.weight", rows, columns)
        linear.bias = checkpoint.take(f"{at}.{name}.bias", rows)
    _fill_norm(spec.layer_norm, checkpoint, f"{at}.final_layer_norm", width)


def _fill_norm(spec: Any, checkpoint: Checkpoint, at: str, width: int) -> None:  # noqa: ANN401 - as above
    spec.gamma, spec.beta = checkpoint.take(f"{at}.weight", width), checkpoint.take(f"{at}.bias", width)


def _fill_config(
    spec: Any,  # noqa: ANN401 - as above
    generation: Mapping[str, Any],
    config: Mapping[str, Any],
    tokens: Sequence[str],
) -> None:
    spec.suppress_ids = list(generation.get("suppress_tokens") or [])
    spec.suppress_ids_begin = list(generation.get("begin_suppress_tokens") or [])
    codes = {token: number for number, token in enumerate(tokens) if _is_language(token)}
    spec.lang_ids = sorted((generation.get("lang_to_id") or codes).values())
    # Without a word about which heads follow the sound, those of the later half of the layers.
    layers = range(config["decoder_layers"] // 2, config["decoder_layers"])
    every = itertools.product(layers, range(config["decoder_attention_heads"]))
    spec.alignment_heads = [list(pair) for pair in generation.get("alignment_heads") or every]


def _is_language(token: str) -> bool:
    found = _LANGUAGE.fullmatch(token)
    return found is not None and found[1] in {*LANGUAGES, "haw", "jw", "yue"}


def _vocabulary(tokenizer: Mapping[str, Any], size: int) -> list[str]:
    """The tokens by their numbers; those of moments follow where the file leaves them out."""
    try:
        numbered = {int(number): str(token) for token, number in tokenizer["model"]["vocab"].items()}
        numbered |= {int(each["id"]): str(each["content"]) for each in tokenizer["added_tokens"]}
    except (KeyError, TypeError, ValueError, AttributeError):
        raise NotUnderstood("tokenizer.json is not as Whisper's are") from None
    if sorted(numbered)[: len(numbered)] != list(range(len(numbered))):
        raise NotUnderstood("tokenizer.json leaves numbers out")
    tokens = [numbered[number] for number in range(len(numbered))][:size]
    return tokens + [f"<|{moment * 0.02:.2f}|>" for moment in range(size - len(tokens))]


def _generation(source: Path) -> Mapping[str, Any] | None:
    path = source / "generation_config.json"
    return _read_json(path) if path.is_file() else None


def _read_json(path: Path) -> Mapping[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        raise NotUnderstood(f"{path.name} is no JSON") from None
    if not isinstance(found, dict):
        raise NotUnderstood(f"{path.name} is no JSON object")
    return found


def _count(config: Mapping[str, Any], name: str) -> int:
    count = config.get(name)
    most = _MOST_LAYERS if name.endswith(("_layers", "_heads")) else 1 << 20
    if type(count) is not int or not 0 < count <= most:
        raise NotUnderstood(f"config.json has no {name} that is understood")
    return count


def main() -> None:
    voice = Voice()
    options = json.loads(sys.argv[1])
    voice.say({"event": "ready"})
    try:
        convert(Path(options["source"]), Path(options["target"]))
    except (NotUnderstood, InvalidTensors) as error:
        voice.say({"event": "refused", "message": str(error)})
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        voice.say({"event": "refused", "message": f"the folder cannot be converted: {error!r}"})
    else:
        voice.say({"event": "finished"})


if __name__ == "__main__":
    main()
