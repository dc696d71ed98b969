"""The grammar worker: compiles what clients' schemas become, and says what is wrong with it. Nothing else trusts a schema.

    python -m parley.workers.confine '<limits>' parley.workers.grammar

A question has the grammar as its raw part; the answer's `fault` is empty, or one line. A grammar that takes too long or too
much memory ends this process, which is the answer.
"""

import resource

import llguidance

from parley.workers.voice import Voice

_CPU_SECONDS = 2
# How far a grammar is walked along: what it was not worked out for when it was compiled is worked out here.
_MOST_STEPS = 256
_END = 256
# The bytes that soon come to an end, tried in this order where a grammar leaves a choice.
_PREFERRED = b'"}],:0a{['
_UNUSABLE = "it is too complex"
# The library's own word for this names an option of the library.
_OVERLAPPING = "the alternatives of a oneOf must exclude each other, by their types or by a constant that each has; anyOf needs not"
_REASON = "error: "
# A fault may quote the schema.
_MOST_SHOWN = 200


class _Bytes:
    """A vocabulary of single bytes and one end token, for trying a grammar without a model."""

    eos_token_id = _END
    bos_token_id = None
    tokens = (*(bytes((byte,)) for byte in range(256)), b"<|end|>")
    special_token_ids = (_END,)

    def __call__(self, text: bytes | str) -> list[int]:
        return list(text.encode() if isinstance(text, str) else text)


def bytes_tokenizer() -> llguidance.LLTokenizer:
    """The tokenizer with which grammars are tried."""
    return llguidance.LLTokenizer(llguidance.TokenizerWrapper(_Bytes()))


def fault_of(grammar: str, tokenizer: llguidance.LLTokenizer) -> str:
    """What is wrong with a grammar, in one line; empty when it can be used."""
    fault = llguidance.LLMatcher.validate_grammar(grammar)
    if fault:
        return _first_line(fault)
    matcher = llguidance.LLMatcher(tokenizer, grammar, log_level=0)
    for _ in range(_MOST_STEPS):
        if matcher.is_stopped():
            break
        allowed = matcher.compute_logit_bias()
        chosen = next((token for token in (_END, *_PREFERRED) if allowed[token]), None)
        chosen = next((token for token in range(_END) if allowed[token]), None) if chosen is None else chosen
        if chosen in (None, _END):
            break
        matcher.consume_token(chosen)
    return _UNUSABLE if matcher.is_error() else ""


def _first_line(fault: str) -> str:
    line = next((line for line in fault.splitlines() if line.strip()), _UNUSABLE)
    if "oneOf constraints are not supported" in line:
        return _OVERLAPPING
    # What stands before it is the place in a grammar that the client never saw.
    said = line.rpartition("failed to compile JSON schema: ")[2].strip().rstrip(":.")
    # Of a pattern the reason stands below the pattern itself.
    reason = next((line.removeprefix(_REASON) for line in fault.splitlines() if line.startswith(_REASON)), "")
    return f"{said}: {reason}"[:_MOST_SHOWN] if reason else said[:_MOST_SHOWN]


def main() -> None:
    voice = Voice()
    tokenizer = bytes_tokenizer()
    voice.say({"event": "ready"})
    voice.listen()
    while (asked := voice.next_question()) is not None:
        question, raw = asked
        # Processor time is counted over the whole life of a process; each question gets its own share.
        used = resource.getrusage(resource.RUSAGE_SELF)
        allowed = int(used.ru_utime + used.ru_stime) + 1 + _CPU_SECONDS
        resource.setrlimit(resource.RLIMIT_CPU, (allowed, resource.getrlimit(resource.RLIMIT_CPU)[1]))
        voice.say({"id": question["id"], "fault": fault_of(raw.decode(), tokenizer)})


if __name__ == "__main__":
    main()
