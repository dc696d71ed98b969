"""Single sums in words and symbols, and conversations in which each turn goes on from the last result."""

from training.corpus.draw import Draw, Side
from training.corpus.framing import Fact, framed, told, with_system
from training.corpus.numbers import Operation, Sum, in_words, random_sum
from training.corpus.sum_wordings import NEXT_COMMANDS, NEXT_QUESTIONS, NEXT_VERBS, QUESTIONS, SENTENCES, SYMBOLS, WORDS
from training.samples import Dialogue, Message, Sample, assistant, user

_OPERATIONS = (
    Operation.ADD,
    Operation.ADD,
    Operation.SUBTRACT,
    Operation.SUBTRACT,
    Operation.MULTIPLY,
    Operation.DIVIDE,
)
_LARGEST_STEP = 20


def single_sum(draw: Draw) -> Sample:
    """One sum and its answer."""
    return told(draw, sum_fact(draw))


def sum_fact(draw: Draw) -> Fact:
    """A sum as a fact; its one word is the bare result."""
    made = any_sum(draw)
    return Fact(skill="arithmetic", question=question(draw, made), answer=answer(made), word=str(made.result))


def any_sum(draw: Draw) -> Sum:
    """A sum of any operation, additions and subtractions more often."""
    return random_sum(draw, draw.pick(_OPERATIONS))


def chain(draw: Draw) -> Sample:
    """Two to five turns, each going on from the result before."""
    made = _first_of_chain(draw)
    turns: list[Message] = [user(framed(draw, question(draw, made))), assistant(answer(made))]
    for _ in range(draw.pick((1, 2, 2, 3, 4))):
        made = _next_sum(draw, made.result)
        turns += [user(_next_question(draw, made)), assistant(answer(made))]
    return Dialogue(skill="arithmetic_chain", messages=with_system(draw, tuple(turns)))


def answer(made: Sum) -> str:
    """How the assistant states a sum: in full, so that the next turn can read the result."""
    return f"{made.text}."


def question(draw: Draw, made: Sum) -> str:
    """A question after a sum."""
    if draw.chance(0.25):
        sentence = draw.template(f"sum_{made.operation.name}", SENTENCES[made.operation])
        return sentence.format(a=_operand(draw, made.left), b=_operand(draw, made.right))
    return draw.template("sum", QUESTIONS).format(sum=_expression(draw, made))


def _expression(draw: Draw, made: Sum) -> str:
    if draw.chance(0.6):
        space = draw.pick(("", " "))
        return f"{made.left}{space}{draw.pick(SYMBOLS[made.operation])}{space}{made.right}"
    # "3 added to 4" is 4 + 3; the answer states the operands in the order in which they were said.
    return f"{_operand(draw, made.left)} {draw.pick(WORDS[made.operation])} {_operand(draw, made.right)}"


def _operand(draw: Draw, number: int) -> str:
    return in_words(number) if number in range(100) and draw.chance(0.3) else str(number)


def _first_of_chain(draw: Draw) -> Sum:
    while True:
        made = any_sum(draw)
        if 0 <= made.result <= 99:
            return made


def _next_sum(draw: Draw, value: int) -> Sum:
    wants_held_out = draw.side is Side.HELD_OUT
    options = [
        made
        for operation in Operation
        for right in range(1, _LARGEST_STEP + 1)
        if (made := Sum(value, operation, right)).is_in_range()
        and 0 <= made.result <= 99
        and made.is_held_out() == wants_held_out
    ]
    if not options:
        # Zero has few neighbours; any taught step keeps the conversation going.
        return (
            Sum(value, Operation.ADD, draw.between(1, _LARGEST_STEP))
            if value < 80
            else Sum(value, Operation.SUBTRACT, 10)
        )
    operation = draw.pick(sorted({made.operation for made in options}))
    return draw.pick([made for made in options if made.operation is operation])


def _next_question(draw: Draw, made: Sum) -> str:
    number = _operand(draw, made.right)
    if draw.chance(0.3):
        return draw.template(f"command_{made.operation.name}", NEXT_COMMANDS[made.operation]).format(b=number)
    step = draw.template(f"next_{made.operation.name}", NEXT_VERBS[made.operation]).format(b=number)
    return draw.template("next", NEXT_QUESTIONS).format(next=step)
