"""Answers as the families' models write them: calls are read, and everything that is no call is text, to the letter."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.serving.prompting.calls import Arguments, CallParser, Name, Words
from parley.serving.prompting.templates import TEMPLATES
from tests.builders_tools import read

WEATHER = [Name("get_weather"), Arguments('{"city": "Paris"}')]
TIMER = [Name("set_timer"), Arguments('{"minutes": 5}')]
CALL = '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Paris"}}\n</tool_call>'
TIMER_CALL = '<tool_call>\n{"name": "set_timer", "arguments": {"minutes": 5}}\n</tool_call>'

# Written by hand after the formats that the families' makers published.
RECORDED = [
    ("parley", CALL, WEATHER),
    ("chatml", CALL, WEATHER),
    ("qwen", CALL, WEATHER),
    ("qwen", f"{CALL}\n{TIMER_CALL}", WEATHER + TIMER),
    ("qwen", f"Let me look.\n{CALL}", [Words("Let me look."), *WEATHER]),
    # Qwen 3 thinks aloud first.
    ("qwen", f"<think>\nParis.\n</think>\n\n{CALL}", [Words("<think>\nParis.\n</think>"), *WEATHER]),
    ("chatml", f"<tool_call>{CALL[12:-13]}</tool_call>\n", WEATHER),
    ("llama-3", '{"name": "get_weather", "parameters": {"city": "Paris"}}', WEATHER),
    ("llama-3", '\n\n{"name": "get_weather", "parameters": {"city": "Paris"}}', WEATHER),
    # Llama 3.2 parts several by semicolons.
    (
        "llama-3",
        '{"name": "get_weather", "parameters": {"city": "Paris"}}; {"name": "set_timer", "parameters": {"minutes": 5}}',
        WEATHER + TIMER,
    ),
    ("mistral", '[TOOL_CALLS] [{"name": "get_weather", "arguments": {"city": "Paris"}}]', WEATHER),
    ("mistral", '[TOOL_CALLS][{"name": "get_weather", "arguments": {"city": "Paris"}, "id": "abc123DEF"}]', WEATHER),
    (
        "mistral",
        '[TOOL_CALLS] [{"name": "get_weather", "arguments": {"city": "Paris"}}, '
        '{"name": "set_timer", "arguments": {"minutes": 5}}]',
        WEATHER + TIMER,
    ),
    ("mistral", '[TOOL_CALLS] [{"name": "get_weather", "arguments": {"city": "Paris"}, "id": "abc1', WEATHER),
    ("mistral-v7", '[TOOL_CALLS][{"name": "get_weather", "arguments": {"city": "Paris"}, "id": "abc123DEF"}]', WEATHER),
    ("mistral-v11", '[TOOL_CALLS]get_weather[CALL_ID]abc123DEF[ARGS]{"city": "Paris"}', WEATHER),
    ("mistral-v11", '[TOOL_CALLS]get_weather[ARGS]{"city": "Paris"}', WEATHER),
    ("mistral-v13", '[TOOL_CALLS]get_weather[ARGS]{"city": "Paris"}', WEATHER),
    ("mistral-v13", '[TOOL_CALLS]get_weather{"city": "Paris"}', WEATHER),
    (
        "mistral-v13",
        'I look.[TOOL_CALLS]get_weather[ARGS]{"city": "Paris"}[TOOL_CALLS]set_timer[ARGS]{"minutes": 5}',
        [Words("I look."), *WEATHER, *TIMER],
    ),
    (
        "mistral-v11",
        '[TOOL_CALLS]get_weather[CALL_ID]a[ARGS]{"city": "Paris"}\n[TOOL_CALLS]set_timer[CALL_ID]b[ARGS]{"minutes": 5}',
        WEATHER + TIMER,
    ),
    # Llama 3.1 says first that tools are its own.
    ("llama-3", '<|python_tag|>{"name": "get_weather", "parameters": {"city": "Paris"}}', WEATHER),
    ("llama-3", '{"type": "function", "name": "get_weather", "parameters": {"city": "Paris"}}', WEATHER),
    # A thought that speaks of a call makes none.
    (
        "qwen",
        f"<think>\nI could {TIMER_CALL} but no.\n</think>\n\n{CALL}",
        [Words(f"<think>\nI could {TIMER_CALL} but no.\n</think>"), *WEATHER],
    ),
    # Keys in another order, and a call without arguments, are known once they are whole.
    ("chatml", '<tool_call>\n{"arguments": {"minutes": 5}, "name": "set_timer"}\n</tool_call>', TIMER),
    ("chatml", '<tool_call>\n{"name": "set_timer"}\n</tool_call>', [Name("set_timer"), Arguments("{}")]),
]

NO_CALLS = [
    ("chatml", "It is warm."),
    ("chatml", "  \n "),
    ("chatml", "<tool_call>\nnot JSON\n</tool_call>"),
    ("chatml", '<tool_call>\n{"name": "get_weather", "arguments": "Paris"}\n</tool_call>'),
    ("chatml", '<tool_call>\n{"name": "format_disk", "arguments": {}}\n</tool_call>'),
    ("chatml", 'So: <tool_call>\n{"name": 7, "arguments": {}}\n</tool_call> and on'),
    ("chatml", '<tool_call>\n{"name": "get_weather", "argum'),
    ("chatml", "<tool_call>"),
    ("chatml", "a < b, <tool"),
    ("chatml", "<tool_call>\n{]}"),
    ("llama-3", '{"answer": 42}'),
    ("llama-3", '{"name": "Ann", "age": 7} is JSON'),
    ("llama-3", "{ is a brace"),
    ("llama-3", 'Use {"name": "get_weather", "parameters": {}}'),
    ("mistral", "[TOOL_CALLS]"),
    ("mistral", '[TOOL_CALLS] [{"name": "nobody", "arguments": {}}]'),
    ("mistral", "[1, 2] [TOOL"),
    ("llama-3", '<|python_tag|>brave_search.call(query="Paris")'),
    ("llama-3", "<|python_tag|>"),
    ("llama-3", "<|python"),
    ("qwen", f"<think>\n{CALL}"),
    ("qwen", " <thin"),
    ("qwen", "<think>a</thin"),
    ("mistral-v13", "[TOOL_CALLS]"),
    ("mistral-v13", "[TOOL_CALLS]get_weather"),
    ("mistral-v13", "[TOOL_CALLS]get_weather[ARGS]"),
    ("mistral-v13", "[TOOL_CALLS]get_weather[ARGS]Paris"),
    ("mistral-v13", '[TOOL_CALLS]format_disk[ARGS]{"now": true}'),
    ("mistral-v13", '[TOOL_CALLS][{"name": "get_weather", "arguments": {}}]'),
    ("mistral-v11", "[TOOL_CALLS]get_weather[CALL_ID]"),
    ("mistral-v11", "[TOOL_CALLS] and more text that is none [ARGS]{}"),
]


@pytest.mark.parametrize(("family", "answer", "parts"), RECORDED)
def test_a_recorded_answer_is_read_however_it_is_cut_into_pieces(family, answer, parts):
    assert read(family, [answer]) == parts
    assert read(family, list(answer)) == parts
    for position in range(len(answer)):
        assert read(family, [answer[:position], answer[position:]]) == parts


@pytest.mark.parametrize(("family", "answer"), NO_CALLS)
def test_what_is_no_call_comes_back_to_the_letter(family, answer):
    assert read(family, [answer]) == [Words(answer)]
    assert read(family, list(answer)) == [Words(answer)]


@given(
    family=st.sampled_from(["chatml", "qwen", "llama-3", "mistral", "mistral-v11", "mistral-v13"]),
    pieces=st.lists(
        st.one_of(
            st.text(max_size=5),
            st.sampled_from(
                [
                    "<think>",
                    "</think>",
                    "<tool_call>",
                    "</tool_call>",
                    "[TOOL_CALLS]",
                    "f[CALL_ID]a",
                    "[ARGS]",
                    "<|python_tag|>",
                    "{",
                    "}",
                    "[",
                    "]",
                    '"',
                    "\n",
                    '{"name": "',
                ]
            ),
        ),
        max_size=12,
    ),
)
def test_nothing_of_an_answer_that_calls_nobody_is_lost(family, pieces):
    text = "".join(pieces)
    assert read(family, pieces, "no_such_function_is_called") == ([Words(text)] if text else [])


@given(
    arguments=st.dictionaries(st.text(max_size=8), st.recursive(st.text() | st.integers(), st.lists, max_leaves=5)),
    cuts=st.lists(st.integers(0, 200), max_size=6),
    is_ascii=st.booleans(),
)
def test_arguments_come_out_as_they_were_written(arguments, cuts, is_ascii):
    written = json.dumps(arguments, ensure_ascii=is_ascii)
    answer = f'<tool_call>\n{{"name": "get_weather", "arguments": {written}}}\n</tool_call>'
    edges = [0, *sorted(min(cut, len(answer)) for cut in cuts), len(answer)]
    pieces = [answer[a:b] for a, b in pairwise(edges)]
    assert read("chatml", pieces) == [Name("get_weather"), Arguments(written)]


def test_a_call_that_is_cut_keeps_what_was_written_of_its_arguments():
    assert read("chatml", [CALL[:60]]) == [Name("get_weather"), Arguments('{"city": "P')]


def test_arguments_are_told_while_they_are_written():
    parser = CallParser(TEMPLATES["chatml"].tools, frozenset({"get_weather"}))
    said = [parser.push(letter) for letter in CALL]
    assert [part.text for parts in said for part in parts if isinstance(part, Arguments)] == list('{"city": "Paris"}')


def test_text_goes_on_behind_a_call():
    assert read("chatml", [f"{CALL}\nDone."]) == [*WEATHER, Words("\nDone.")]


@pytest.mark.parametrize(
    "rest",
    [
        "\n</tool_call>\nThere you are.",
        '\n</tool_call>\nSee {"a": 1}.',
        " There you are.",
        ', "more": "There you are."}',
        ', "id": 7 There you are.',
    ],
)
def test_an_object_that_is_left_open_swallows_no_text_behind_it(rest):
    answer = '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Paris"}' + rest
    for pieces in ([answer], list(answer)):
        name, arguments, words = read("chatml", pieces)
        assert [name, arguments] == WEATHER
        assert words.text.strip(' ,"').endswith(rest.removeprefix("\n</tool_call>\n").strip(' ,"'))


def test_a_second_call_where_one_is_allowed_is_text():
    parts = read("chatml", list(f"{CALL}\n{TIMER_CALL}"), most_calls=1)
    assert parts == [*WEATHER, Words(f"\n{TIMER_CALL}")]
