"""What the llama.cpp adapter and its worker say to each other about rounds; the messages themselves are `core.channel`'s.

The adapter says `start` and `end`; before `start`, for each of the round's pictures, `rows` (raw: the rows). The worker
says `taken` when it comes to a start, and one `step` after each forward pass of the model: for every sequence that got a
token an entry, in arrays, and behind them (raw) the scores of those tokens whose round asked for log-probabilities.
"""

import array
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from msgspec.structs import asdict

from parley.core.channel import Header
from parley.core.events import FinishReason
from parley.core.picture import Rows, Span
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
        "spans": [
            [span.start, span.rows.count, span.rows.num_positions, span.rows.columns, span.rows.is_causal]
            for placed in request.pictures
            for span in placed.spans
        ],
    }
    return header, array.array("q", request.prompt).tobytes()


def rows_message(number: int, rows: bytes) -> tuple[Header, bytes]:
    """The message that brings the rows of a round's next picture, 32-bit floats."""
    return {"op": "rows", "round": number}, rows


def read_start(header: Header, raw: bytes) -> tuple[int, SequenceRequest, tuple[Span, ...]]:
    """A round's number, its request, under that number for an id and without its pictures, and where their rows stand."""
    number, sampling, grammar = header["round"], header["sampling"], header["grammar"]
    if not isinstance(number, int) or not isinstance(sampling, dict):
        raise TypeError("no start of a round")
    biases = {int(token_id): float(bias) for token_id, bias in sampling["logit_bias"].items()}
    request = SequenceRequest(
        round_id=str(number),
        prompt=tuple(_read_cells(raw)),
        num_sequences=int(str(header["num_sequences"])),
        max_tokens=int(str(header["max_tokens"])),
        sampling=Sampling(**{**sampling, "stop": tuple(sampling["stop"]), "logit_bias": biases}),
        grammar=None if grammar is None else Grammar(str(grammar)),
        markers=tuple(header["markers"]) if isinstance(header["markers"], list) else (),
        cache_salt=str(header["cache_salt"]),
    )
    return number, request, _read_spans(header["spans"])


def step_header(entries: Sequence[Entry], begun: Sequence[tuple[int, int]]) -> Header:
    """The header of a `step`. `begun` holds (round number, cached tokens) of the prompts of which it read the first portion."""
    return {"event": "step", "tokens": entries, "begun": begun}


def read_step(header: Header) -> tuple[list[Entry], list[tuple[int, int]]]:
    """Raises ValueError, TypeError or KeyError for what is no step."""
    tokens, begun = header["tokens"], header["begun"]
    if not isinstance(tokens, list) or not isinstance(begun, list):
        raise TypeError("no step")
    entries = [
        Entry(number, sequence, text, token_id, num_top, num_shown, FinishReason(end) if end else None)
        for number, sequence, text, token_id, num_top, num_shown, end in tokens
    ]
    return entries, [(number, count) for number, count in begun]


def _read_cells(raw: bytes) -> "array.array[int]":
    cells = array.array("q")
    cells.frombytes(raw)
    return cells


def _read_spans(described: object) -> tuple[Span, ...]:
    if not isinstance(described, list):
        raise TypeError("no spans")
    return tuple(
        Span(start=start, rows=Rows(count=count, num_positions=num_positions, columns=columns, is_causal=is_causal))
        for start, count, num_positions, columns, is_causal in described
    )


def pack_ids(token_ids: Iterable[int]) -> bytes:
    """Ids as 32-bit integers."""
    return array.array("i", token_ids).tobytes()


def read_ids(raw: bytes) -> "array.array[int]":
    """What `pack_ids` packed."""
    ids = array.array("i")
    ids.frombytes(raw)
    return ids
