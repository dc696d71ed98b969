"""What the corpus is made of: conversations and raw completions, and how each is laid out for the tokenizer.

The product tokenises scaffolding and content as separate segments, so that text which looks like a special token stays
text. Training does exactly the same: a sample becomes a list of pieces, and each piece is tokenised by itself.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass

END_OF_TEXT = "<|endoftext|>"
TURN_START = "<|im_start|>"
TURN_END = "<|im_end|>"
FIM_PREFIX = "<|fim_prefix|>"
FIM_SUFFIX = "<|fim_suffix|>"
FIM_MIDDLE = "<|fim_middle|>"
TOOL_CALL_OPEN = "<tool_call>"
TOOL_CALL_CLOSE = "</tool_call>"
SPECIAL_TOKENS = (
    END_OF_TEXT,
    TURN_START,
    TURN_END,
    FIM_PREFIX,
    FIM_SUFFIX,
    FIM_MIDDLE,
    TOOL_CALL_OPEN,
    TOOL_CALL_CLOSE,
)


@dataclass(frozen=True, slots=True)
class Piece:
    """One segment of a sample. Control pieces may hold special tokens; learned pieces count in the loss.

    A spelled piece is cut into letters: the model writes what depends on letters one by one.
    """

    text: str
    is_control: bool
    is_learned: bool
    is_spelled: bool = False


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call that the assistant makes: the declared tool's name and its arguments."""

    name: str
    arguments: tuple[tuple[str, str | int], ...]

    @classmethod
    def of(cls, name: str, arguments: Mapping[str, str | int]) -> "ToolCall":
        """A call with these arguments, in their order."""
        return cls(name, tuple(arguments.items()))

    def as_json(self) -> str:
        """The call as the model writes it between the tool call tokens."""
        return json.dumps({"name": self.name, "arguments": dict(self.arguments)}, ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Message:
    """One turn. `role` is system, user, assistant or tool; `call` is set when the assistant calls a tool instead of talking.

    `is_spelled` says that the model writes the content letter by letter. The text is the same.
    """

    role: str
    content: str
    call: ToolCall | None = None
    is_spelled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialogue:
    """A conversation that ends with the assistant.

    `tools` are the declarations offered, as JSON texts. `is_shaped_by_system` says that the answers depend on the system
    turn, so the talk cannot be moved behind another one.
    """

    skill: str
    messages: tuple[Message, ...]
    tools: tuple[str, ...] = ()
    is_shaped_by_system: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """Raw text and how it goes on; with a `suffix` the answer belongs between the two."""

    skill: str
    prompt: str
    answer: str
    suffix: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Drill:
    """Lines of raw text, each with what is given and what is learned. It never ends an answer."""

    skill: str
    lines: tuple[tuple[str, str], ...]
    is_spelled: bool = False


# What can be asked and scored, and all that can be learned from.
Case = Dialogue | Completion
Sample = Case | Drill


def system(content: str) -> Message:
    """A system turn."""
    return Message("system", content)


def user(content: str) -> Message:
    """A user turn."""
    return Message("user", content)


def assistant(content: str) -> Message:
    """An assistant turn: the text that is learned and scored."""
    return Message("assistant", content)


def spelling_assistant(content: str) -> Message:
    """An assistant turn that is written letter by letter."""
    return Message("assistant", content, is_spelled=True)


def tool_pieces(tools: tuple[str, ...], is_first: bool) -> list[Piece]:
    """How declared tools are written at the end of the system turn, after a blank line where something is before them."""
    pieces = [Piece(("" if is_first else "\n\n") + "# Tools\n<tools>\n", True, False)]
    for place, tool in enumerate(tools):
        pieces += [Piece("\n", True, False)] if place else []
        pieces.append(Piece(tool, False, False))
    return [*pieces, Piece("\n</tools>", True, False)]


def layout(sample: Sample) -> list[Piece]:
    """The pieces of a whole sample, answers marked as learned."""
    if isinstance(sample, Completion):
        return [*completion_prompt(sample), Piece(sample.answer, False, True), Piece(END_OF_TEXT, True, True)]
    if isinstance(sample, Drill):
        return [piece for line in sample.lines for piece in _drilled(*line, sample.is_spelled)]
    pieces = _tools_only_system(sample)
    for message in sample.messages:
        pieces += _turn(message, sample.tools if message.role == "system" else ())
    return pieces


def dialogue_prompt(messages: tuple[Message, ...], tools: tuple[str, ...] = ()) -> list[Piece]:
    """The pieces of a history after which the assistant speaks next."""
    history = layout(Dialogue(skill="", messages=messages, tools=tools))
    return [*history, Piece(f"{TURN_START}assistant\n", True, False)]


def completion_prompt(sample: Completion) -> list[Piece]:
    """The pieces before a raw completion's answer."""
    prompt = Piece(sample.prompt, False, False)
    if sample.suffix is None:
        return [prompt]
    return [
        Piece(FIM_PREFIX, True, False),
        prompt,
        Piece(FIM_SUFFIX, True, False),
        Piece(sample.suffix, False, False),
        Piece(FIM_MIDDLE, True, False),
    ]


def _drilled(given: str, learned: str, is_spelled: bool) -> list[Piece]:
    return [Piece(given, False, False), Piece(learned, False, True, is_spelled), Piece("\n", False, True)]


def _tools_only_system(sample: Dialogue) -> list[Piece]:
    if sample.tools and sample.messages[0].role != "system":
        return _turn(system(""), sample.tools)
    return []


def answer_pieces(message: Message) -> list[Piece]:
    """What an assistant turn says, without its end."""
    if message.call is None:
        return [Piece(message.content, False, True, message.is_spelled)] if message.content else []
    return [
        Piece(f"{TOOL_CALL_OPEN}\n", True, True),
        Piece(message.call.as_json(), False, True),
        Piece(f"\n{TOOL_CALL_CLOSE}", True, True),
    ]


def _turn(message: Message, tools: tuple[str, ...]) -> list[Piece]:
    is_learned = message.role == "assistant"
    pieces = [Piece(f"{TURN_START}{message.role}\n", True, False)]
    if is_learned:
        pieces += answer_pieces(message)
    elif message.content:
        pieces.append(Piece(message.content, False, False))
    if tools:
        pieces += tool_pieces(tools, is_first=not message.content)
    return [*pieces, Piece(TURN_END, True, is_learned), Piece("\n", True, False)]
