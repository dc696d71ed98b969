"""A checkpoint becomes files that others read: `python -m training.export --run-dir DIR --gguf FILE [--safetensors DIR]`."""

import argparse
import json
import sys
from enum import Enum
from pathlib import Path

import gguf
import numpy as np
from safetensors.numpy import save_file

from training import checkpoint
from training.model import Llama
from training.run_log import DEFAULT_RUN_DIR
from training.samples import (
    END_OF_TEXT,
    FIM_MIDDLE,
    FIM_PREFIX,
    FIM_SUFFIX,
    SPECIAL_TOKENS,
    TURN_END,
)
from training.tokenizer import PRE_TOKENIZER_NAME
from training.weights import FloatArray, gguf_tensors, published_tensors

NAME = "parley-mini"
_CHAT_TEMPLATE = Path(__file__).with_name("chat_template.jinja")


class Precision(Enum):
    """How matrices are stored. Norms are always whole floats."""

    F32 = (gguf.LlamaFileType.ALL_F32, gguf.GGMLQuantizationType.F32)
    F16 = (gguf.LlamaFileType.MOSTLY_F16, gguf.GGMLQuantizationType.F16)
    Q8_0 = (gguf.LlamaFileType.MOSTLY_Q8_0, gguf.GGMLQuantizationType.Q8_0)


def write_gguf(model: Llama, tokenizer_file: Path, path: Path, precision: Precision) -> None:
    """Writes the model with its tokenizer as one GGUF file, in one move."""
    file_type, matrix_type = precision.value
    unfinished = path.with_suffix(".tmp")
    writer = gguf.GGUFWriter(unfinished, "llama")
    _add_shape(writer, model)
    writer.add_file_type(file_type)
    _add_tokenizer(writer, json.loads(tokenizer_file.read_text()))
    for name, tensor in gguf_tensors(model):
        kind = gguf.GGMLQuantizationType.F32 if tensor.ndim == 1 else matrix_type
        writer.add_tensor(name, gguf.quants.quantize(tensor, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    unfinished.replace(path)


def write_safetensors(model: Llama, tokenizer_file: Path, folder: Path) -> None:
    """Writes weights, configuration and tokenizer in the layout of published Llama models."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors: dict[str, FloatArray] = {name: np.ascontiguousarray(tensor) for name, tensor in published_tensors(model)}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "tokenizer.json").write_text(tokenizer_file.read_text())
    (folder / "config.json").write_text(json.dumps(_published_config(model), indent=2) + "\n")


def _published_config(model: Llama) -> dict[str, object]:
    shape = model.shape
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": shape.vocabulary_size,
        "hidden_size": shape.width,
        "intermediate_size": shape.hidden_width,
        "num_hidden_layers": shape.num_layers,
        "num_attention_heads": shape.num_heads,
        "num_key_value_heads": shape.num_kv_heads,
        "head_dim": shape.head_width,
        "max_position_embeddings": shape.context_length,
        "rope_theta": shape.rope_base,
        "rms_norm_eps": shape.norm_epsilon,
        "tie_word_embeddings": True,
        "bos_token_id": None,
        "eos_token_id": SPECIAL_TOKENS.index(TURN_END),
        "pad_token_id": SPECIAL_TOKENS.index(END_OF_TEXT),
    }


def _add_shape(writer: gguf.GGUFWriter, model: Llama) -> None:
    shape = model.shape
    writer.add_name(NAME)
    writer.add_license("Apache-2.0")
    writer.add_description("A demonstration model, trained from scratch on generated conversations.")
    writer.add_vocab_size(shape.vocabulary_size)
    writer.add_context_length(shape.context_length)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.num_layers)
    writer.add_feed_forward_length(shape.hidden_width)
    writer.add_head_count(shape.num_heads)
    writer.add_head_count_kv(shape.num_kv_heads)
    writer.add_layer_norm_rms_eps(shape.norm_epsilon)
    writer.add_rope_dimension_count(shape.head_width)
    writer.add_rope_freq_base(shape.rope_base)


def _add_tokenizer(writer: gguf.GGUFWriter, tokenizer: dict[str, dict[str, object]]) -> None:
    vocabulary: dict[str, int] = tokenizer["model"]["vocab"]  # type: ignore[assignment]  # JSON
    merges: list[list[str]] = tokenizer["model"]["merges"]  # type: ignore[assignment]  # JSON
    tokens = sorted(vocabulary, key=vocabulary.__getitem__)
    # All special tokens are control tokens: text that spells one is never promoted when special tokens are not parsed.
    types = [gguf.TokenType.CONTROL if token in SPECIAL_TOKENS else gguf.TokenType.NORMAL for token in tokens]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(PRE_TOKENIZER_NAME)
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges([" ".join(merge) for merge in merges])
    # No prompt starts with it; readers that look for one find a token that is never text.
    writer.add_bos_token_id(vocabulary[END_OF_TEXT])
    writer.add_add_bos_token(False)
    writer.add_eos_token_id(vocabulary[TURN_END])
    writer.add_eot_token_id(vocabulary[TURN_END])
    writer.add_pad_token_id(vocabulary[END_OF_TEXT])
    for part, token in (("pre", FIM_PREFIX), ("suf", FIM_SUFFIX), ("mid", FIM_MIDDLE)):
        writer.add_uint32(f"tokenizer.ggml.fim_{part}_token_id", vocabulary[token])
    writer.add_chat_template(_CHAT_TEMPLATE.read_text())


def main(arguments: list[str]) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Write a trained model as GGUF and safetensors.")
    parser.add_argument("--run-dir", type=Path, default=DEFAULT_RUN_DIR)
    parser.add_argument("--checkpoint", default="best.pt", help="a file of the run's folder")
    parser.add_argument("--gguf", type=Path, required=True)
    parser.add_argument("--precision", choices=[each.name.lower() for each in Precision], default="q8_0")
    parser.add_argument("--safetensors", type=Path, help="also write a folder in the published Llama layout")
    options = parser.parse_args(arguments)
    model, _ = checkpoint.load_model(options.run_dir / options.checkpoint)
    tokenizer_file = options.run_dir / "tokenizer.json"
    write_gguf(model, tokenizer_file, options.gguf, Precision[options.precision.upper()])
    print(
        f"{options.gguf}: {options.gguf.stat().st_size / 1e6:.1f} MB, {model.num_parameters() / 1e6:.2f} M parameters"
    )
    if options.safetensors:
        write_safetensors(model, tokenizer_file, options.safetensors)


if __name__ == "__main__":
    main(sys.argv[1:])
