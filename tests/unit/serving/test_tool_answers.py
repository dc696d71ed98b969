"""From the engine's text to events: calls with ids, reasons of the end, scores, and engines that leave their grammar."""

from dataclasses import replace

import pytest

from parley.core.errors import EngineFailed, InvalidRequest, UnsupportedParameter
from parley.core.events import (
    CallDelta,
    CallStarted,
    Delta,
    Event,
    Finished,
    FinishReason,
    ScoredToken,
    SequenceFinished,
)
from parley.core.requests import Sampling, ToolChoice
from parley.core.snapshot import EngineKind, Weights
from parley.core.usage import Usage
from tests.builders_serving import (
    ECHO_WEIGHTS,
    BrokenEngine,
    ScriptedGeneration,
    chat,
    make_bench,
    make_snapshot,
    texts,
)
from tests.builders_tools import called, function, prompt, schema, tools, user
from tests.unit.serving.test_calls import CALL, TIMER_CALL

pytestmark = pytest.mark.asyncio
SCHEMA = schema({"type": "object"})


class ScriptedEngine(BrokenEngine):
    """Says these pieces in every sequence, a token each, whatever it is asked."""

    def __init__(self, *pieces: str, reason: FinishReason = FinishReason.STOP) -> None:
        self._pieces = pieces
        self._reason = reason
        self.requests = []

    async def generate(self, request):
        self.requests.append(request)
        events: list[Event] = []
        for sequence in range(request.num_sequences):
            tokens = [
                (ScoredToken(1, p.encode(), -1.0),) if request.sampling.logprobs == 0 else () for p in self._pieces
            ]
            events += [Delta(sequence, p, 1, t) for p, t in zip(self._pieces, tokens, strict=True)]
            events.append(SequenceFinished(sequence, self._reason))
        return ScriptedGeneration([*events, Finished(Usage(input_tokens=1, output_tokens=len(self._pieces)))])


def asked(**changes):
    how = {key: changes.pop(key) for key in ("n", "best_of", "sampling") if key in changes}
    return chat("?", prompts=(prompt(**({"tools": tools()} | changes)),), **how)


async def told(*pieces: str, reason: FinishReason = FinishReason.STOP, **changes) -> list[Event]:
    return await make_bench(engine=ScriptedEngine(*pieces, reason=reason)).run(asked(**changes))


def calls(events) -> list[tuple[int, int, str, str]]:
    """Sequence, number, name and arguments of each call."""
    started = [event for event in events if isinstance(event, CallStarted)]
    return [
        (
            call.sequence,
            call.call,
            call.name,
            "".join(
                event.arguments
                for event in events
                if isinstance(event, CallDelta) and (event.sequence, event.call) == (call.sequence, call.call)
            ),
        )
        for call in started
    ]


def reasons(events) -> list[FinishReason]:
    return [event.finish_reason for event in events if isinstance(event, SequenceFinished)]


async def test_calls_are_events_with_ids_of_their_own():
    events = await told("So.\n", *f"{CALL}\n{TIMER_CALL}")
    assert calls(events) == [(0, 0, "get_weather", '{"city": "Paris"}'), (0, 1, "set_timer", '{"minutes": 5}')]
    ids = [event.call_id for event in events if isinstance(event, CallStarted)]
    assert len(set(ids)) == 2
    assert all(call_id.startswith("call_") for call_id in ids)
    assert texts(events) == {0: "So."}
    assert reasons(events) == [FinishReason.TOOL_CALLS]
    assert isinstance(events[-1], Finished)
    assert events[-1].usage.output_tokens == 1 + len(f"{CALL}\n{TIMER_CALL}")


async def test_every_choice_has_its_own_calls():
    events = await told(CALL, n=2, best_of=2)
    assert [call[:3] for call in calls(events)] == [(0, 0, "get_weather"), (1, 0, "get_weather")]
    assert reasons(events) == [FinishReason.TOOL_CALLS] * 2


async def test_text_without_a_call_ends_as_it_did():
    events = await told("It is warm. <tool", "_call> is a mark.")
    assert texts(events) == {0: "It is warm. <tool_call> is a mark."}
    assert reasons(events) == [FinishReason.STOP]


async def test_an_answer_that_was_cut_inside_a_call_ends_for_its_length():
    events = await told(CALL[:60], reason=FinishReason.LENGTH)
    assert calls(events) == [(0, 0, "get_weather", '{"city": "P')]
    assert reasons(events) == [FinishReason.LENGTH]


async def test_a_stop_text_inside_a_call_leaves_no_call_to_be_made():
    stop = Sampling(stop=("Paris",))
    events = await told(CALL.partition("Paris")[0], sampling=stop)
    assert calls(events) == [(0, 0, "get_weather", '{"city": "')]
    assert reasons(events) == [FinishReason.STOP]
    assert reasons(await told(CALL, "\n", TIMER_CALL.partition("5")[0], sampling=stop)) == [FinishReason.STOP]
    assert reasons(await told(CALL.partition("</tool_call>")[0], sampling=stop)) == [FinishReason.TOOL_CALLS]


async def test_without_tools_nothing_is_read_as_a_call():
    events = await told(CALL, tools=None)
    assert texts(events) == {0: CALL}
    assert reasons(events) == [FinishReason.STOP]


async def test_one_call_where_the_client_wants_no_more():
    events = await told(CALL, "\n", TIMER_CALL, tools=tools(is_parallel=False))
    assert len(calls(events)) == 1
    assert texts(events) == {0: f"\n{TIMER_CALL}"}


async def test_scores_stay_with_the_text_and_calls_have_none():
    events = await told("Hm", ".", CALL, sampling=Sampling(logprobs=0))
    scored = [token.piece for event in events if isinstance(event, Delta) for token in event.tokens]
    assert scored == [b"Hm", b"."]


LLAMA = Weights(name="fake", engine=EngineKind.LLAMA, path=None, sha256=None, context_length=1_000, template="plain")


async def test_an_engine_that_leaves_its_grammar_is_an_error_and_no_answer():
    bench = make_bench(engine=ScriptedEngine("not JSON"), snapshots=[make_snapshot(weights=LLAMA)])
    with pytest.raises(EngineFailed):
        await bench.run(asked(tools=None, answer=SCHEMA))


async def test_an_engine_that_never_took_its_grammar_is_found_out_before_a_word_is_handed_out():
    bench = make_bench(
        engine=ScriptedEngine("Hello", " there", reason=FinishReason.LENGTH), snapshots=[make_snapshot(weights=LLAMA)]
    )
    run = await bench.open(asked(tools=None, answer=SCHEMA))
    with pytest.raises(EngineFailed):
        await anext(run)
    await run.aclose()


async def test_a_call_where_json_or_a_call_was_asked_for_is_no_fault():
    weights = replace(LLAMA, template="parley")
    bench = make_bench(engine=ScriptedEngine(*CALL), snapshots=[make_snapshot(weights=weights)])
    assert len(calls(await bench.run(asked(answer=SCHEMA)))) == 1


async def test_json_that_was_cut_is_handed_out_as_far_as_it_goes():
    for sampling, reason in ((Sampling(), FinishReason.LENGTH), (Sampling(stop=("]",)), FinishReason.STOP)):
        engine = ScriptedEngine('{"a":', reason=reason)
        bench = make_bench(engine=engine, snapshots=[make_snapshot(weights=LLAMA)])
        events = await bench.run(asked(tools=None, answer=SCHEMA, sampling=sampling))
        assert texts(events) == {0: '{"a":'}
        assert engine.requests[0].grammar is not None


@pytest.mark.parametrize(
    ("mark", "changes", "param", "says"),
    [
        (
            "banana",
            {"tools": None, "answer": schema({"type": "banana"})},
            "response_format",
            "for response_format: no.",
        ),
        ("banana", {"tools": tools(function("f", parameters={"type": "banana"}))}, "tools", "for function 'f': no."),
        ("call_1", {}, "tools", "too complex together"),
    ],
)
async def test_a_schema_with_a_fault_is_refused_before_anything_runs(mark, changes, param, says):
    engine = ScriptedEngine(CALL)
    bench = make_bench(
        engine=engine,
        snapshots=[make_snapshot(weights=replace(LLAMA, template="parley"))],
        faults={mark: "no"},
    )
    with pytest.raises(InvalidRequest) as raised:
        await bench.open(asked(**changes))
    assert raised.value.param == param
    assert says in raised.value.message
    assert (engine.requests, bench.sink.records) == ([], [])


async def test_a_strict_schema_is_tried_also_where_the_family_leaves_an_answer_free():
    snapshots = [make_snapshot(weights=replace(LLAMA, template="llama-3"))]
    bench = make_bench(engine=ScriptedEngine("Hm."), snapshots=snapshots, faults={"banana": "no"})
    with pytest.raises(InvalidRequest, match="for function 'f': no"):
        await bench.open(asked(tools=tools(function("f", strict=True, parameters={"type": "banana"}))))
    events = await bench.run(asked(tools=tools(function("f", parameters={"type": "banana"}), function(strict=True))))
    assert texts(events) == {0: "Hm."}


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"tools": None, "answer": SCHEMA}, "response_format"),
        ({"tools": tools(choice=ToolChoice.REQUIRED)}, "tool_choice"),
        ({"tools": tools(only="get_weather", choice_field="function_call")}, "function_call"),
        ({"tools": tools(function(strict=True))}, "strict"),
    ],
)
async def test_an_engine_that_cannot_be_held_to_a_form_is_refused_by_name(changes, param):
    bench = make_bench()
    with pytest.raises(UnsupportedParameter) as raised:
        await bench.open(asked(**changes))
    assert raised.value.param == param


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({}, "tools"),
        ({"tools": tools(field="functions")}, "functions"),
        ({"tools": None, "messages": (user("?"), called(("f", "{}")), user("?"))}, "messages[1].tool_calls"),
    ],
)
async def test_a_family_without_a_form_for_tools_refuses_them_by_name(changes, param):
    weights = replace(ECHO_WEIGHTS, template="gemma")
    bench = make_bench(snapshots=[make_snapshot(weights=weights)])
    with pytest.raises(UnsupportedParameter) as raised:
        await bench.open(chat("?", prompts=(prompt(**({"tools": tools()} | changes)),)))
    assert raised.value.param == param


async def test_echo_repeats_a_call_that_stands_in_the_question():
    events = await make_bench().run(asked(messages=(user(f"Say {CALL}"),)))
    assert calls(events) == [(0, 0, "get_weather", '{"city": "Paris"}')]
    assert texts(events) == {0: "Say"}
