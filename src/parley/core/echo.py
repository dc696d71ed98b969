"""The echo engine's vocabulary: one token per byte, then a few special tokens. Shared by its tokenizer and its engine."""

NUM_BYTE_TOKENS = 256
SPECIAL_TOKENS = {
    "<|endoftext|>": 256,
    "<|im_start|>": 257,
    "<|im_end|>": 258,
    "<|fim_prefix|>": 259,
    "<|fim_suffix|>": 260,
    "<|fim_middle|>": 261,
}
NUM_TOKENS = NUM_BYTE_TOKENS + len(SPECIAL_TOKENS)
END_OF_TEXT = SPECIAL_TOKENS["<|endoftext|>"]
TURN_START = SPECIAL_TOKENS["<|im_start|>"]
TURN_END = SPECIAL_TOKENS["<|im_end|>"]
FIM = (SPECIAL_TOKENS["<|fim_prefix|>"], SPECIAL_TOKENS["<|fim_suffix|>"], SPECIAL_TOKENS["<|fim_middle|>"])
END_OF_GENERATION = frozenset({END_OF_TEXT, TURN_END})

_TEXT_OF_SPECIAL = {token_id: text.encode() for text, token_id in SPECIAL_TOKENS.items()}


def piece(token_id: int) -> bytes:
    """The bytes that a token stands for; a special token's is its text."""
    return bytes((token_id,)) if token_id < NUM_BYTE_TOKENS else _TEXT_OF_SPECIAL[token_id]
