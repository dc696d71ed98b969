"""What adapter and worker say about rounds comes out as it went in."""

import json

import pytest
from msgspec import structs

from parley.core.events import FinishReason
from parley.core.picture import Marks, Picture, Rows, Span, place
from parley.core.requests import Grammar, Sampling, SequenceRequest
from parley.core.round_messages import Entry, read_start, read_step, start_message, step_header

REQUEST = SequenceRequest(
    round_id="7",
    prompt=(1, 2, 3),
    num_sequences=2,
    max_tokens=9,
    sampling=Sampling(temperature=0.3, logit_bias={5: -100.0, 70_000: 2.5}, stop=("é\n", "b"), seed=2**63, logprobs=0),
    grammar=Grammar('start: "a"'),
    markers=("<tool_call>",),
    cache_salt="org_1",
)


def test_a_start_carries_the_whole_request() -> None:
    header, raw = start_message(7, REQUEST)
    assert read_start(json.loads(json.dumps(header)), raw) == (7, REQUEST, ())


def test_a_start_carries_where_pictures_stand_but_not_what_they_show() -> None:
    shown = Picture(width=2, height=1, pixels=b"secret")
    layout = (Marks((5,)), Rows(count=2, num_positions=1, columns=2), Rows(count=3, num_positions=3, is_causal=False))
    cells, placed = place(shown, layout, start=3)
    request = structs.replace(REQUEST, prompt=(1, 2, 3, *cells, 4), pictures=(placed,))
    header, raw = start_message(7, request)
    number, got, spans = read_start(json.loads(json.dumps(header)), raw)
    assert (number, got) == (7, structs.replace(request, pictures=()))
    assert spans == placed.spans == (Span(start=4, rows=layout[1]), Span(start=6, rows=layout[2]))
    assert b"secret" not in raw


def test_a_step_carries_every_entry() -> None:
    entries = [Entry(7, 0, "é🦊", 3), Entry(7, 1, "", 4, 2, 1, FinishReason.LENGTH), Entry(8, 0, "\n", 5, 0)]
    header = json.loads(json.dumps(step_header(entries, [(8, 100)])))
    assert read_step(header) == (entries, [(8, 100)])


@pytest.mark.parametrize(
    "nonsense",
    [{}, {"tokens": 1, "begun": []}, {"tokens": [[1, 2]], "begun": []}, {"tokens": [], "begun": [1]},
     {"tokens": [[1, 0, "", 1, None, 0, "maybe"]], "begun": []}],
)  # fmt: skip
def test_what_is_no_step_is_refused(nonsense: dict[str, object]) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        read_step(nonsense)
