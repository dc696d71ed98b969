"""What the generator says is true: sums add up, lists are sorted, code compiles, JSON parses."""

import ast
import json
import re
from collections.abc import Iterator
from itertools import pairwise
from random import Random

import pytest

from training.corpus import (
    arithmetic,
    chinese,
    code,
    drill,
    edits,
    extraction,
    memory,
    persona,
    registry,
    text_work,
    tool_use,
    unknown,
)
from training.corpus.draw import Draw, Side, is_held_out
from training.corpus.framing import typed
from training.corpus.numbers import Operation
from training.corpus.words import NAMES, WORDS, any_name, random_words
from training.samples import SPECIAL_TOKENS, Completion, Dialogue, Message, layout

NUM_SAMPLES = 300


@pytest.fixture(params=list(Side), ids=lambda side: side.value)
def draw(request: pytest.FixtureRequest) -> Draw:
    return Draw(Random(17), request.param)


def _exchanges(dialogue: Dialogue) -> Iterator[tuple[Message, Message]]:
    return (
        (before, after)
        for before, after in zip(dialogue.messages, dialogue.messages[1:], strict=False)
        if after.role == "assistant"
    )


def _value_of(text: str) -> tuple[int, int]:
    """Both sides of "2 + 3 = 5"."""
    left, right = text.rstrip(".。").split(" = ")
    expression = left.replace(Operation.MULTIPLY, "*").replace(Operation.DIVIDE, "/")
    assert re.fullmatch(r"-?\d+ [-+*/] \d+", expression)
    return eval(expression), int(right)


def test_every_stated_sum_is_right(draw: Draw):
    for _ in range(NUM_SAMPLES):
        for maker in (arithmetic.single_sum, arithmetic.chain):
            for _, answer in _exchanges(maker(draw)):
                computed, stated = _value_of(answer.content)
                assert computed == stated


def test_each_turn_of_a_chain_starts_from_the_result_before(draw: Draw):
    for _ in range(NUM_SAMPLES):
        answers = [answer.content.rstrip(".") for _, answer in _exchanges(arithmetic.chain(draw))]
        for before, after in pairwise(answers):
            assert after.split()[0] == before.split(" = ")[1]


def test_chinese_sums_are_right(draw: Draw):
    for _ in range(NUM_SAMPLES):
        for _, answer in _exchanges(chinese.chinese(draw)):
            if " = " in answer.content:
                computed, stated = _value_of(answer.content)
                assert computed == stated


def test_sorted_lists_are_sorted_and_keep_their_items(draw: Draw):
    for _ in range(NUM_SAMPLES):
        request, answer = text_work.sort(draw).messages[-2:]
        items = answer.content.split(", ")
        numbers = [int(item) for item in items if item.isdigit()]
        assert (numbers or items) == sorted(numbers or items)
        assert all(item in request.content for item in items)


def test_reversed_words_are_in_the_request_the_other_way_round(draw: Draw):
    for _ in range(NUM_SAMPLES):
        request, answer = text_work.reverse_words(draw).messages[-2:]
        words = answer.content.replace(",", "").split()
        assert " ".join(reversed(words)) in request.content.replace(",", "")


def test_a_word_turned_around_is_spelled_first(draw: Draw):
    for _ in range(NUM_SAMPLES):
        request, answer = text_work.reverse_letters(draw).messages[-2:]
        spelled, turned = re.fullmatch(r"(\S+) backwards is (\S+)\.", answer.content).groups()  # type: ignore[union-attr]
        assert spelled.replace("-", "") == turned[::-1]
        assert turned[::-1] in request.content


def test_changed_case_keeps_the_letters(draw: Draw):
    for _ in range(NUM_SAMPLES):
        for maker, is_right in ((text_work.upper_case, str.isupper), (text_work.lower_case, str.islower)):
            request, answer = maker(draw).messages[-2:]
            assert is_right(answer.content)
            assert answer.content.lower() in request.content.lower()


def test_counted_words_are_counted_right():
    draw = Draw(Random(2), Side.TRAIN)
    for _ in range(NUM_SAMPLES):
        request, answer = text_work.count_words(draw).messages[-2:]
        counted = re.search(r'"(.+)"|[:?] (.+)', request.content)
        assert counted
        assert int(answer.content.split()[2]) == len((counted[1] or counted[2]).split())


def test_code_compiles_with_its_hole_filled(draw: Draw):
    for _ in range(NUM_SAMPLES):
        sample = code.code_middle(draw)
        assert sample.suffix is not None
        ast.parse(sample.prompt.replace("return", "return", 1) + sample.answer + sample.suffix)


def test_a_line_of_code_ends_where_the_line_ends(draw: Draw):
    assert all(code.code_line(draw).answer.endswith("\n") for _ in range(NUM_SAMPLES))


def test_extracted_values_stand_in_the_sentence(draw: Draw):
    for _ in range(NUM_SAMPLES):
        *asked, answer = extraction.extraction(draw).messages
        prompt = "\n".join(message.content for message in asked)
        values = json.loads(answer.content)
        assert values
        assert all(str(value) in prompt and key in prompt for key, value in values.items())


def test_extracted_json_is_written_as_constrained_answers_are_served(draw: Draw):
    for _ in range(NUM_SAMPLES):
        answer = extraction.extraction(draw).messages[-1].content
        assert answer == json.dumps(json.loads(answer), ensure_ascii=False, separators=(",", ":"))


def test_a_schema_in_a_request_is_that_of_the_answer(draw: Draw):
    seen = 0
    for _ in range(3 * NUM_SAMPLES):
        *asked, answer = extraction.extraction(draw).messages
        stated = re.search(r'\{"type".*\}', "\n".join(message.content for message in asked))
        if stated:
            seen += 1
            schema, values = json.loads(stated[0]), json.loads(answer.content)
            assert schema["required"] == list(schema["properties"]) == list(values)
            kinds = {str: "string", int: "integer"}
            assert all(schema["properties"][key]["type"] == kinds[type(value)] for key, value in values.items())
    assert seen


def test_a_called_tool_is_declared_and_its_arguments_come_from_the_request(draw: Draw):
    for _ in range(NUM_SAMPLES):
        sample = tool_use.tool_use(draw)
        declared = {tool["name"]: tool["parameters"] for tool in map(json.loads, sample.tools)}
        for request, answer in _exchanges(sample):
            if answer.call:
                assert list(declared[answer.call.name]["properties"]) == [key for key, _ in answer.call.arguments]
                assert all(str(value) in request.content for _, value in answer.call.arguments)


def test_a_corrected_text_has_no_misspelling_left(draw: Draw):
    wrong = set(edits._MISSPELT.values())
    for _ in range(NUM_SAMPLES):
        sample = edits.edit(draw)
        if "spelling" in sample.messages[1].content or "typo" in sample.messages[1].content:
            assert wrong.isdisjoint(word.strip(".,!?") for word in sample.messages[-1].content.split())


def test_a_persona_answers_with_its_name_and_role(draw: Draw):
    for _ in range(NUM_SAMPLES):
        sample = persona.named(draw)
        name, role = re.fullmatch(r"I am (\w+), an? (.+)\.", sample.messages[-1].content).groups()  # type: ignore[union-attr]
        assert name in sample.messages[0].content
        assert role in sample.messages[0].content


def test_one_word_answers_are_short_and_capitals_are_capitals(draw: Draw):
    for _ in range(NUM_SAMPLES):
        sample = persona.styled(draw)
        style = sample.messages[0].content
        for _, answer in _exchanges(sample):
            if "capital" in style or "upper case" in style:
                assert answer.content == answer.content.upper()
            if "one word" in style.lower():
                assert len(answer.content.split()) <= 2


def test_what_is_remembered_was_told(draw: Draw):
    for _ in range(NUM_SAMPLES):
        messages = [message.content for message in memory.memory(draw).messages if message.role != "system"]
        if len(messages) > 2:
            told = messages[-1].rstrip(".").split()[-1]
            assert told in messages[0]


def test_questions_beyond_the_tables_are_not_known(draw: Draw):
    for _ in range(NUM_SAMPLES):
        assert unknown.unknown(draw).messages[-1].content == unknown.I_DO_NOT_KNOW


def test_every_maker_gives_whole_samples_without_special_tokens_in_content(draw: Draw):
    for source in registry.skill_samples(3, draw.side):
        for sample in (next(source) for _ in range(40)):
            pieces = layout(sample)
            assert any(piece.is_learned for piece in pieces)
            contents = [piece.text for piece in pieces if not piece.is_control]
            assert not any(special in text for special in SPECIAL_TOKENS for text in contents)
            assert not any("{" in text and "}" not in text for text in contents)
            if isinstance(sample, Completion):
                assert sample.prompt
                assert sample.answer
            elif isinstance(sample, Dialogue):
                assert sample.messages[-1].role == "assistant"


def test_drilled_sums_are_right(draw: Draw):
    for _ in range(50):
        for given, learned in drill.sums(draw).lines[1:]:
            computed, stated = _value_of(given + learned)
            assert computed == stated


def test_drilled_lists_are_sorted(draw: Draw):
    for _ in range(50):
        for given, learned in drill.lists(draw).lines[1:]:
            items = [int(item) if item.isdigit() else item for item in learned.strip().split(", ")]
            assert items == sorted(items)
            assert all(str(item) in given for item in items)


def test_drilled_words_keep_what_is_reversed_in_a_score_to_themselves():
    draw = Draw(Random(4), Side.TRAIN)
    for _ in range(NUM_SAMPLES):
        for given, learned in drill.spellings(draw).lines[1:]:
            word = given.removeprefix("The word ").removesuffix(" =")
            assert learned.split()[0].replace("-", "") == word
            assert (word[::-1] in learned.split()[2:]) == (not is_held_out("reversed", word.lower()))


def test_a_line_as_people_type_it_is_the_same_line():
    draw = Draw(Random(5), Side.TRAIN)
    assert {typed(draw, "How are you?").lower().rstrip(".!?") for _ in range(100)} == {"how are you"}


def test_words_of_the_scored_side_come_from_the_lists_and_names_from_their_own_side():
    taught, scored = Draw(Random(6), Side.TRAIN), Draw(Random(6), Side.HELD_OUT)
    assert {word for _ in range(100) for word in random_words(scored, 2, 5)} <= set(WORDS)
    names = {any_name(scored) for _ in range(200)}
    assert names <= set(NAMES)
    assert names.isdisjoint(any_name(taught) for _ in range(2000))
