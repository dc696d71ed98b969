"""What the llama.cpp adapter and its worker say to each other about rounds; the messages themselves are `core.channel`'s.

The adapter says `start` and `end`. The worker says one `step` after each forward pass of the model: for every sequence that got a token
an entry, in arrays, and behind them (raw) the scores of those tokens whose round asked for log-probabilities.
"""

import array
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import NamedTuple

from parley.core.channel import Header
from parley.core.events import FinishReason
from parley.core.requests import Grammar, Sampling, SequenceRequest


class Entry(NamedTuple):
    """One token of one sequence. `text` became safe to send with it; `num_shown` of the scores not shown yet belong to it.

    `num_top` is set where a score with so many alternatives stands in the raw part; `end` is set on a sequence's last.
    """

    round_number: int
    sequence: int
    text: str
    token_id: int
    num_top: int | None = None
    num_shown: int = 0
    end: FinishReason | None = None


def start_message(number: int, request: SequenceRequest) -> tuple[Header, bytes]:
    """The message that starts a round under a number that no other round of this worker's ever has."""
    header: Header = {
        "op": "start",
        "round": number,
        "num_sequences": request.num_sequences,
        "max_tokens": request.max_tokens,
        "sampling": asdict(request.sampling),
        "grammar": None if request.grammar is None else request.grammar.lark,
        "markers": request.markers,
        "cache_salt": request.cache_salt,
    }
    return header, pack_ids(request.prompt)


def read_start(header: Header, raw: bytes) -> tuple[int, SequenceRequest]:
    """A round's number and its request, under that number for an id."""
    number, sampling, grammar = header["round"], header["sampling"], header["grammar"]
    if not isinstance(number, int) or not isinstance(sampling, dict):
        raise TypeError("no start of a round")
    biases = {int(token_id): float(bias) for token_id, bias in sampling["logit_bias"].items()}
    request = SequenceRequest(
        round_id=str(number),
        prompt=tuple(read_ids(raw)),
        num_sequences=int(str(header["num_sequences"])),
        max_tokens=int(str(header["max_tokens"])),
        sampling=Sampling(**{**sampling, "stop": tuple(sampling["stop"]), "logit_bias": biases}),
        grammar=None if grammar is None else Grammar(str(grammar)),
        markers=tuple(header["markers"]) if isinstance(header["markers"], list) else (),
        cache_salt=str(header["cache_salt"]),
    )
    return number, request


def step_header(entries: Sequence[Entry], cached: Sequence[tuple[int, int]]) -> Header:
    """The header of a `step`. `cached` holds (round number, cached tokens) of the prompts that were read to their end."""
    return {"event": "step", "tokens": entries, "cached": cached}


def read_step(header: Header) -> tuple[list[Entry], list[tuple[int, int]]]:
    """Raises ValueError, TypeError or KeyError for what is no step."""
    tokens, cached = header["tokens"], header["cached"]
    if not isinstance(tokens, list) or not isinstance(cached, list):
        raise TypeError("no step")
    entries = [
        Entry(number, sequence, text, token_id, num_top, num_shown, FinishReason(end) if end else None)
        for number, sequence, text, token_id, num_top, num_shown, end in tokens
    ]
    return entries, [(number, count) for number, count in cached]


def pack_ids(token_ids: Iterable[int]) -> bytes:
    """Ids as 32-bit integers."""
    return array.array("i", token_ids).tobytes()


def read_ids(raw: bytes) -> "array.array[int]":
    """What `pack_ids` packed."""
    ids = array.array("i")
    ids.frombytes(raw)
    return ids
