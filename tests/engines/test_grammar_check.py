"""The grammar worker: verdicts on schemas, bombs among them, and what becomes of the worker (F9)."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
import pytest_asyncio

from parley.core.errors import InvalidRequest, Overloaded
from parley.core.requests import ChatPrompt, Grammar, ToolChoice
from parley.core.snapshot import EngineKind, Weights
from parley.serving.prompting.constrain import Constraints
from parley.serving.prompting.grammar_check import GrammarCheck
from parley.serving.prompting.templates import TEMPLATES
from tests.builders_tools import accepts, function, prompt, tools, vocabulary
from tests.builders_tools import schema as schema_of

SOUND = {"type": "object", "properties": {"a": {"type": "string", "format": "date-time"}}, "required": ["a"]}
DEEP = "#/$defs/a30"
BOMBS = {
    "a reference that leads nowhere": {"$ref": "#/nope"},
    "a reference to elsewhere": {"$ref": "http://127.0.0.1/schema"},
    "a file": {"$ref": "file:///etc/passwd"},
    "not": {"not": {"type": "object"}},
    "uniqueItems": {"type": "array", "uniqueItems": True},
    "if": {"if": {"type": "string"}, "then": {"minLength": 1}},
    "no such type": {"type": "banana"},
    "no such format": {"type": "string", "format": "nope"},
    "looking ahead": {"type": "string", "pattern": "(?=a)b"},
    "looking back": {"type": "string", "pattern": r"(a)\1"},
    "half a pattern": {"type": "string", "pattern": "(" * 500},
    "a deep pattern": {"type": "string", "pattern": "(" * 250 + "a" + ")*" * 250},
    "what nothing satisfies": {"type": "string", "minLength": 5, "maxLength": 2},
    "false": {"type": "object", "properties": {"a": False}, "required": ["a"]},
    "many properties": {"type": "object", "properties": {f"p{i}": {"type": "string"} for i in range(4_000)}},
    "a product of unions": {
        "allOf": [
            {"anyOf": [{"type": "object", "properties": {f"{i}_{j}": True}} for j in range(4)]} for i in range(20)
        ]
    },
}
# Sound, each under the limits of time and memory, however it looks.
LARGE = {
    "long texts": {"type": "string", "minLength": 10**4, "maxLength": 10**5},
    "texts without end": {"type": "string", "maxLength": 10**9},
    "long lists": {"type": "array", "items": {"type": "string"}, "maxItems": 10**4},
    "lists without end": {"type": "array", "items": {"type": "string"}, "minItems": 10**9},
    "repeats": {"type": "string", "pattern": "((a{1,10}){1,10}){1,100}"},
    "repeats of repeats": {"type": "string", "pattern": "((a{1,100}){1,100}){1,100}"},
    "an exponential automaton": {"type": "string", "pattern": "(a|b)*a(a|b){30}"},
    "itself": {"$ref": "#/$defs/a", "$defs": {"a": {"type": "object", "properties": {"a": {"$ref": "#/$defs/a"}}}}},
    "a tree of references": {
        "$ref": DEEP,
        "$defs": {"a0": {"type": "string"}}
        | {f"a{i}": {"type": "array", "prefixItems": [{"$ref": f"#/$defs/a{i - 1}"}] * 2} for i in range(1, 31)},
    },
}


def grammar(schema: object) -> Grammar:
    return Grammar(f"start: %json {json.dumps(schema)}\n")


@pytest_asyncio.fixture
async def check() -> AsyncIterator[GrammarCheck]:
    check = GrammarCheck(check_seconds=30.0)
    yield check
    await check.aclose()


async def test_a_sound_grammar_has_no_fault(check: GrammarCheck) -> None:
    assert await check.fault_of(grammar(SOUND), tenant="a") == ""


async def test_alternatives_of_a_union_must_exclude_each_other_or_be_any(check: GrammarCheck) -> None:
    """Which is what pydantic writes for a union with a discriminator."""
    kinds = [
        {"type": "object", "properties": {"kind": {"const": kind}, "a": {"type": "integer"}}, "required": ["kind"]}
        for kind in ("cat", "dog")
    ]
    assert await check.fault_of(grammar({"oneOf": kinds}), tenant="a") == ""
    overlapping = [{"type": "string"}, {"type": "string", "maxLength": 5}]
    fault = await check.fault_of(grammar({"oneOf": overlapping}), tenant="a")
    assert "anyOf" in fault
    assert "coerce" not in fault
    assert await check.fault_of(grammar({"anyOf": overlapping}), tenant="a") == ""


async def test_a_pattern_is_refused_with_the_reason(check: GrammarCheck) -> None:
    fault = await check.fault_of(grammar({"type": "string", "pattern": "(?=a)b"}), tenant="a")
    assert "look-ahead" in fault


DECIMAL = {"type": "string", "pattern": r"^(?!^[-+.]*$)[+-]?0*\d*\.?\d*$"}
KNOWN = Weights(name="m", engine=EngineKind.LLAMA, path=None, sha256=None, context_length=99, template="parley")


@pytest.mark.parametrize(
    ("parameters", "left"),
    [
        ({"properties": {"a": DECIMAL, "b": {"type": "string", "pattern": "^x+$"}}}, {"b": "xx"}),
        ({"properties": {"a": {"anyOf": [{"type": "number"}, DECIMAL]}, "b": {"const": 2**60 + 1}}}, {"b": 7}),
        ({"patternProperties": {DECIMAL["pattern"]: {"type": "integer"}}, "additionalProperties": False}, {"c": 1}),
        ({"type": "object", "minProperties": 3}, {"a": 1}),
    ],
)
async def test_what_cannot_be_enforced_is_left_out_of_a_function_and_refused_in_a_strict_one(
    check: GrammarCheck, parameters: dict[str, object], left: dict[str, object]
) -> None:
    constraints, template = Constraints(check), TEMPLATES["parley"]

    async def held(answers: ChatPrompt) -> Grammar | None:
        return await constraints.grammar_of(answers, template, vocabulary(), KNOWN, tenant="a")

    called = tools(function("f", parameters=parameters), function(strict=True), choice=ToolChoice.REQUIRED)
    answer = await held(prompt(tools=called))
    assert answer is not None
    call = '<tool_call>{"name": "f", "arguments": ' + json.dumps(left) + "}</tool_call>"
    assert accepts(answer, call.replace("<tool_call>", "<tool_call>\n").replace("</tool_call>", "\n</tool_call>"))
    for strict in (
        prompt(tools=tools(function("f", strict=True, parameters=parameters))),
        prompt(answer=schema_of(parameters)),
    ):
        with pytest.raises(InvalidRequest, match=r"cannot be enforced|look-ahead"):
            await held(strict)


async def test_f9_every_bomb_is_refused_in_one_line_and_the_next_schema_is_read(check: GrammarCheck) -> None:
    for name, schema in BOMBS.items():
        fault = await check.fault_of(grammar(schema), tenant="a")
        assert fault, name
        assert "\n" not in fault, name
        assert await check.fault_of(grammar(SOUND | {"title": name}), tenant="a") == "", name


async def test_f9_what_looks_large_has_a_verdict_too(check: GrammarCheck) -> None:
    for name, schema in LARGE.items():
        assert isinstance(await check.fault_of(grammar(schema), tenant="a"), str), name
        assert await check.fault_of(grammar(SOUND | {"title": name}), tenant="a") == "", name


async def test_f9_a_worker_that_stands_still_is_replaced_and_says_nothing_of_its_schema() -> None:
    check = GrammarCheck(check_seconds=3.0)
    assert await check.fault_of(grammar(SOUND), tenant="a") == ""
    stopped = check.pid
    assert stopped is not None
    os.kill(stopped, signal.SIGSTOP)
    with pytest.raises(Overloaded):
        await check.fault_of(grammar({"type": "integer"}), tenant="a")
    assert not os.path.exists(f"/proc/{stopped}")  # noqa: PTH110 - no file of ours
    assert await check.fault_of(grammar({"type": "integer"}), tenant="a") == ""
    await check.aclose()


async def test_f9_a_worker_that_dies_takes_one_verdict_with_it(check: GrammarCheck) -> None:
    await check.fault_of(grammar(SOUND), tenant="a")
    assert check.pid is not None
    os.kill(check.pid, signal.SIGSTOP)
    asked = asyncio.ensure_future(check.fault_of(grammar({"type": "integer"}), tenant="a"))
    waiting = asyncio.ensure_future(check.fault_of(grammar({"type": "null"}), tenant="a"))
    await asyncio.sleep(0)
    os.kill(check.pid, signal.SIGKILL)
    assert await asked == "it is too complex"
    assert await waiting == ""


async def test_a_worker_that_ended_while_nothing_was_asked_is_replaced_and_no_schema_is_blamed(
    check: GrammarCheck,
) -> None:
    await check.fault_of(grammar(SOUND), tenant="a")
    ended = check.pid
    assert ended is not None
    os.kill(ended, signal.SIGKILL)
    # It has ended, and the event loop has not heard of it, though the thread that waits for it may have.
    with suppress(ChildProcessError):
        os.waitid(os.P_PID, ended, os.WEXITED | os.WNOWAIT)
    assert await check.fault_of(grammar({"type": "integer"}), tenant="a") == ""


async def test_a_verdict_is_kept_for_its_tenant_alone(check: GrammarCheck) -> None:
    assert await check.fault_of(grammar(SOUND), tenant="a") == ""
    await check.aclose()
    assert await check.fault_of(grammar(SOUND), tenant="a") == ""
    assert check.pid is None, "a known verdict needs no worker"
    assert await check.fault_of(grammar(SOUND), tenant="b") == ""
    assert check.pid is not None


async def test_too_many_waiting_schemas_are_refused_for_now() -> None:
    check = GrammarCheck(max_waiting=1)
    first = asyncio.ensure_future(check.fault_of(grammar(SOUND), tenant="a"))
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await check.fault_of(grammar({"type": "null"}), tenant="a")
    assert await first == ""
    await check.aclose()


async def test_a_question_that_nobody_waits_for_any_more_leaves_nothing_behind(check: GrammarCheck) -> None:
    await check.fault_of(grammar(SOUND), tenant="a")
    left = check.pid
    assert left is not None
    os.kill(left, signal.SIGSTOP)
    asked = asyncio.ensure_future(check.fault_of(grammar({"type": "integer"}), tenant="a"))
    await asyncio.sleep(0.05)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    assert check.pid is None
    assert await check.fault_of(grammar({"type": "integer"}), tenant="a") == ""
