"""How a sample is laid out: exactly as the product renders a prompt, with only the answers learned."""

from training.samples import (
    Completion,
    Dialogue,
    Message,
    Piece,
    ToolCall,
    assistant,
    completion_prompt,
    dialogue_prompt,
    layout,
    system,
    user,
)


def _text(pieces: list[Piece]) -> str:
    return "".join(piece.text for piece in pieces)


TALK = Dialogue(skill="talk", messages=(system("Be kind."), user("Hello"), assistant("Hi!")))


def test_a_talk_is_written_as_chatml_and_content_is_never_control():
    assert (
        _text(layout(TALK))
        == "<|im_start|>system\nBe kind.<|im_end|>\n<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\nHi!<|im_end|>\n"
    )
    assert [piece.text for piece in layout(TALK) if not piece.is_control] == ["Be kind.", "Hello", "Hi!"]


def test_only_the_answer_and_its_end_are_learned():
    assert [piece.text for piece in layout(TALK) if piece.is_learned] == ["Hi!", "<|im_end|>"]


def test_a_prompt_is_the_beginning_of_the_layout_of_its_answer():
    prompt = _text(dialogue_prompt(TALK.messages[:-1]))
    assert _text(layout(TALK)) == prompt + "Hi!<|im_end|>\n"


def test_raw_text_is_learned_after_its_prompt_and_ends():
    sample = Completion(skill="raw", prompt="1, 2,", answer=" 3")
    assert _text(layout(sample)) == "1, 2, 3<|endoftext|>"
    assert [piece.text for piece in layout(sample) if piece.is_learned] == [" 3", "<|endoftext|>"]


def test_the_middle_follows_prefix_and_suffix():
    sample = Completion(skill="middle", prompt="a = ", answer="1", suffix="\nb = 2")
    assert _text(completion_prompt(sample)) == "<|fim_prefix|>a = <|fim_suffix|>\nb = 2<|fim_middle|>"


def test_a_tool_call_is_written_between_its_tokens_and_learned():
    call = Message("assistant", "", ToolCall.of("weather", {"city": "Rome"}))
    sample = Dialogue(skill="tool", messages=(user("Weather in Rome?"), call), tools=('{"name": "weather"}',))
    learned = "".join(piece.text for piece in layout(sample) if piece.is_learned)
    assert learned == '<tool_call>\n{"name": "weather", "arguments": {"city": "Rome"}}\n</tool_call><|im_end|>'


def test_tools_are_declared_in_a_system_turn_even_where_there_is_none():
    sample = Dialogue(skill="tool", messages=(user("Hi"), assistant("Hello!")), tools=("{}",))
    assert _text(layout(sample)).startswith(
        "<|im_start|>system\n# Tools\n<tools>\n{}\n</tools><|im_end|>\n<|im_start|>user\n"
    )


def test_declarations_are_content_and_stand_one_a_line_in_scaffolding():
    sample = Dialogue(skill="tool", messages=(user("Hi"), assistant("Hello!")), tools=('{"a": 1}', '{"b": 2}'))
    block = layout(sample)[1:5]
    assert [(piece.text, piece.is_control) for piece in block] == [
        ("# Tools\n<tools>\n", True),
        ('{"a": 1}', False),
        ("\n", True),
        ('{"b": 2}', False),
    ]


def test_tools_come_after_the_system_line():
    sample = Dialogue(skill="tool", messages=(system("Be kind."), user("Hi"), assistant("Hello!")), tools=("{}",))
    assert _text(layout(sample)).startswith(
        "<|im_start|>system\nBe kind.\n\n# Tools\n<tools>\n{}\n</tools><|im_end|>\n"
    )
