"""The tokenizer worker: a model's vocabulary without its weights, asked through the channel.

    python -m parley.workers.confine '<limits>' parley.workers.tokenizer MODEL.gguf

After loading it says `ready` with the vocabulary's facts; raw: the pieces of all tokens. A question `encode` has the segments' lengths in bytes and their trust, raw: their texts; the answer's raw part
is an array of 32-bit ids.
"""

import array
import re
import sys
from collections.abc import Iterable

from parley.core.channel import Header
from parley.core.llama_library import Unsupported, library_path
from parley.core.pieces import pack_pieces
from parley.workers.libllama import (
    ATTRIBUTE_CONTROL,
    ATTRIBUTE_UNKNOWN,
    ATTRIBUTE_USER_DEFINED,
    SENTENCEPIECE,
    LibLlama,
)
from parley.workers.runs import RunTokenizer
from parley.workers.voice import Voice

# A token that the vocabulary's maker defined is a marker, not a word, when it looks like one: <tool_call>, [INST].
_MARKER = re.compile(r"<.+>|\[.+\]|.*\|.*", re.DOTALL)


class VocabularyOnly:
    """One model's tokenizer."""

    def __init__(self, library: LibLlama, path: str) -> None:
        self._library = library
        model = library.load_model(path, vocabulary_only=True)
        self._vocabulary = library.api.llama_model_get_vocab(model)
        self._num_tokens = library.api.llama_vocab_n_tokens(self._vocabulary)
        self.pieces = library.pieces(self._vocabulary)
        self._special = self._special_tokens()
        # llama.cpp promotes these even in text that it is told not to search for special tokens.
        always_promoted = sorted(
            (text.encode() for text, attribute in self._special.values() if attribute & ATTRIBUTE_USER_DEFINED),
            key=len,
            reverse=True,
        )
        self._promoted = re.compile(b"|".join(map(re.escape, always_promoted))) if always_promoted else None
        self._runs = self._in_runs(path)

    def facts(self) -> Header:
        """`core.tokenizer.Vocabulary` as JSON."""
        api, vocabulary = self._library.api, self._vocabulary
        fim = [
            api.llama_vocab_fim_pre(vocabulary),
            api.llama_vocab_fim_suf(vocabulary),
            api.llama_vocab_fim_mid(vocabulary),
        ]
        bos = api.llama_vocab_bos(vocabulary)
        return {
            "num_tokens": self._num_tokens,
            "longest_token_bytes": max(map(len, self.pieces), default=1),
            "special_tokens": {text: token_id for token_id, (text, _) in self._special.items()},
            "written_specials": [text for text, kind in self._special.values() if kind & ATTRIBUTE_USER_DEFINED],
            "bos": [bos] if api.llama_vocab_get_add_bos(vocabulary) and bos >= 0 else [],
            "end_of_generation": [t for t in range(self._num_tokens) if api.llama_vocab_is_eog(vocabulary, t)],
            "fim": fim if min(fim) >= 0 else None,
        }

    def encode(self, segments: Iterable[tuple[bytes, bool]]) -> "array.array[int]":
        """The ids of texts, each with whether it is scaffolding, and each tokenised by itself but where the vocabulary is
        SentencePiece's. Nothing in content is promoted."""
        if self._runs is not None:
            return self._runs.encode(segments)
        ids = array.array("i")
        for text, is_control in segments:
            for part in [text] if is_control else self._defused(text):
                ids.extend(self._library.tokenize(self._vocabulary, part, is_control=is_control))
        return ids

    def _in_runs(self, path: str) -> RunTokenizer | None:
        """For a SentencePiece vocabulary; None for any other. Raises Unsupported where it puts a space before a text whatever
        it is told."""
        if self._library.api.llama_vocab_type(self._vocabulary) != SENTENCEPIECE:
            return None
        bare, puts_space = self._vocabulary, self._puts_space(self._vocabulary)
        if puts_space:
            model = self._library.load_model(path, vocabulary_only=True, puts_space=False)
            bare = self._library.api.llama_model_get_vocab(model)
            if self._puts_space(bare):
                raise Unsupported("the space before a text cannot be left out")
        return RunTokenizer(
            lambda text: self._library.tokenize(bare, text, is_control=False),
            self._special,
            self._defused,
            puts_space=puts_space,
        )

    def _puts_space(self, vocabulary: int) -> bool:
        ids = self._library.tokenize(vocabulary, b"a", is_control=False)
        return b"".join(self.pieces[each] for each in ids) != b"a"

    def _special_tokens(self) -> dict[int, tuple[str, int]]:
        api, special = self._library.api, {}
        for token_id in range(self._num_tokens):
            attribute = api.llama_vocab_get_attr(self._vocabulary, token_id)
            text = self.pieces[token_id].decode(errors="replace")
            is_marker = attribute & ATTRIBUTE_USER_DEFINED and _MARKER.fullmatch(text)
            if text and (attribute & (ATTRIBUTE_CONTROL | ATTRIBUTE_UNKNOWN) or is_marker):
                special[token_id] = (text, attribute)
        return special

    def _defused(self, text: bytes) -> list[bytes]:
        """The text cut inside everything that would be promoted in it."""
        parts, start = [], 0
        if self._promoted is not None:
            position = 0
            while found := self._promoted.search(text, position):
                position = found.start() + _first_character_bytes(text, found.start())
                parts.append(text[start:position])
                start = position
        parts.append(text[start:])
        return [part for part in parts if part]


def _first_character_bytes(text: bytes, position: int) -> int:
    lead = text[position]
    return 1 if lead < 0x80 else 2 if lead < 0xE0 else 3 if lead < 0xF0 else 4


def _encode(tokenizer: VocabularyOnly, question: Header, raw: bytes) -> bytes:
    segments = question["segments"]
    if not isinstance(segments, list):
        raise TypeError("segments")
    texts, start = [], 0
    for length, is_control in segments:
        texts.append((raw[start : start + length], bool(is_control)))
        start += length
    return tokenizer.encode(texts).tobytes()


def main() -> None:
    voice = Voice()
    try:
        tokenizer = VocabularyOnly(LibLlama(library_path()), sys.argv[1])
    except (Unsupported, RuntimeError) as error:
        voice.say({"event": "failed", "reason": str(error)})
        return
    voice.say({"event": "ready", **tokenizer.facts()}, pack_pieces(tokenizer.pieces))
    voice.listen()
    while (asked := voice.next_question()) is not None:
        question, raw = asked
        try:
            voice.say({"id": question["id"]}, _encode(tokenizer, question, raw))
        except RuntimeError as error:
            voice.say({"id": question["id"], "refused": str(error)})


if __name__ == "__main__":
    main()
