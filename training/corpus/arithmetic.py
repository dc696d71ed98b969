"""Single sums in words and symbols, and conversations in which each turn goes on from the last result."""

from training.corpus.draw import Draw, Side
from training.corpus.framing import Fact, framed, told, with_system
from training.corpus.numbers import Operation, Sum, in_words, random_sum
from training.samples import Dialogue, Message, Sample, assistant, user

_SYMBOLS = {
    Operation.ADD: ("+",),
    Operation.SUBTRACT: ("-", "−"),
    Operation.MULTIPLY: ("*", "×", "x"),
    Operation.DIVIDE: ("/", "÷"),
}
_WORDS = {
    Operation.ADD: ("plus", "added to"),
    Operation.SUBTRACT: ("minus", "take away"),
    Operation.MULTIPLY: ("times", "multiplied by"),
    Operation.DIVIDE: ("divided by", "over"),
}
_QUESTIONS = (
    "What is {sum}?",
    "What's {sum}?",
    "How much is {sum}?",
    "Calculate {sum}.",
    "Compute {sum}.",
    "{sum}",
    "{sum}?",
    "{sum} =",
    "{sum} = ?",
    "{sum} is?",
    "What does {sum} equal?",
    "What does {sum} make?",
    "Solve {sum}.",
    "Work out {sum}.",
    "Tell me {sum}.",
    "What do you get for {sum}?",
    "What is the result of {sum}?",
    "What is the value of {sum}?",
    "Give me the answer to {sum}.",
    "Do you know what {sum} is?",
    "Can you calculate {sum}?",
    "Can you tell me what {sum} is?",
    "Could you work out {sum}?",
    "I need to know {sum}.",
    "Evaluate {sum}.",
    "Find {sum}.",
    "What number is {sum}?",
    "Let us compute {sum}.",
    "Please compute {sum}.",
    "How much does {sum} make?",
    "What is {sum} equal to?",
    "Do {sum}.",
    "Try {sum}.",
    "What comes out of {sum}?",
    "I want to know {sum}.",
    "Can you do {sum}?",
    "Can you work out {sum}?",
    "Could you tell me {sum}?",
    "Give me {sum}.",
    "What would {sum} be?",
    "Please calculate {sum}.",
    "How many is {sum}?",
    "Say what {sum} is.",
    "{sum} makes?",
    "{sum} equals?",
    "Result of {sum}?",
)
_SENTENCES = {
    Operation.ADD: (
        "Add {a} and {b}.",
        "What is the sum of {a} and {b}?",
        "Add {b} to {a}.",
        "What do {a} and {b} make?",
        "What is {a} and {b} together?",
        "How much are {a} and {b}?",
        "What is the total of {a} and {b}?",
        "Sum up {a} and {b}.",
        "What do you get if you add {b} to {a}?",
        "How much is {b} more than {a}?",
        "Put {a} and {b} together.",
        "Give me the sum of {a} and {b}.",
        "What is {b} more than {a}?",
        "Find the sum of {a} and {b}.",
    ),
    Operation.SUBTRACT: (
        "Subtract {b} from {a}.",
        "Take {b} away from {a}.",
        "What is {b} less than {a}?",
        "What is left of {a} without {b}?",
        "What is left of {a} if you take away {b}?",
        "What remains of {a} after taking away {b}?",
        "What is {a} without {b}?",
        "How much is {a} less {b}?",
        "What is the difference of {a} and {b}?",
        "Take {b} from {a}.",
        "Reduce {a} by {b}.",
        "What do you get if you subtract {b} from {a}?",
        "How much is left of {a} after {b}?",
        "Remove {b} from {a}.",
        "Find the difference of {a} and {b}.",
        "What remains of {a} without {b}?",
    ),
    Operation.MULTIPLY: (
        "Multiply {a} by {b}.",
        "What is the product of {a} and {b}?",
        "Multiply {a} and {b}.",
        "Multiply {a} with {b}.",
        "Find the product of {a} and {b}.",
        "Give me the product of {a} and {b}.",
        "What do you get if you multiply {a} by {b}?",
        "Take {a} times {b}.",
        "How much do you get for {a} times {b}?",
        "What is {a} multiplied with {b}?",
        "The product of {a} and {b} is?",
        "What does multiplying {a} by {b} give?",
    ),
    Operation.DIVIDE: (
        "Divide {a} by {b}.",
        "How many times does {b} go into {a}?",
        "Split {a} by {b}.",
        "Share {a} among {b}.",
        "How often does {b} go into {a}?",
        "Find {a} divided by {b}.",
        "What do you get if you divide {a} by {b}?",
        "How often does {b} fit into {a}?",
        "What is {a} split by {b}?",
        "Give me the quotient of {a} and {b}.",
        "What is the quotient of {a} and {b}?",
        "How many times does {b} fit into {a}?",
        "Divide {a} into {b} parts.",
    ),
}
_NEXT_VERBS = {
    Operation.ADD: (
        "we add {b}",
        "we add {b} to it",
        "you add {b}",
        "I add {b} to that",
        "we add {b} more",
        "we put {b} on top",
        "you add {b} to that",
        "we add {b} to the result",
        "I add {b}",
        "I add {b} more",
        "we count {b} more",
        "you add {b} to it",
    ),
    Operation.SUBTRACT: (
        "we subtract {b}",
        "we take away {b}",
        "you subtract {b} from it",
        "I take {b} away",
        "we subtract {b} from that",
        "we remove {b}",
        "you subtract {b}",
        "I subtract {b} from it",
        "we subtract {b} from the result",
        "you take away {b}",
        "we take {b} away",
        "I remove {b}",
        "you take {b} from that",
    ),
    Operation.MULTIPLY: (
        "we multiply it by {b}",
        "we multiply by {b}",
        "you multiply that by {b}",
        "I multiply it by {b}",
        "we multiply the result by {b}",
        "we take it times {b}",
        "you multiply it by {b}",
        "I multiply that by {b}",
        "you multiply by {b}",
        "we multiply that by {b}",
        "you take that times {b}",
        "you multiply the result by {b}",
    ),
    Operation.DIVIDE: (
        "we divide it by {b}",
        "we divide by {b}",
        "you divide that by {b}",
        "I divide it by {b}",
        "we divide the result by {b}",
        "we split it by {b}",
        "you divide it by {b}",
        "I divide that by {b}",
        "you divide by {b}",
        "we divide that by {b}",
        "you split that by {b}",
        "you divide the result by {b}",
    ),
}
_NEXT_QUESTIONS = (
    "And if {next}?",
    "What if {next}?",
    "And what if {next}?",
    "What happens if {next}?",
    "If {next}?",
    "And when {next}?",
    "Now what if {next}?",
    "And then if {next}?",
    "What is it if {next}?",
    "What do we get if {next}?",
    "How much is it if {next}?",
    "Suppose {next}.",
    "Then {next}. What is it?",
    "And now {next}?",
    "Okay, and if {next}?",
    "Great. What if {next}?",
    "Thanks! And if {next}?",
    "What would it be if {next}?",
    "And suppose {next}?",
    "What then, if {next}?",
    "Okay. What if {next}?",
    "Good. And if {next}?",
    "Now {next}. What is it?",
    "What do you get if {next}?",
    "How much do we get if {next}?",
    "What comes out if {next}?",
    "And what do we get if {next}?",
    "So what if {next}?",
    "Let's say {next}.",
    "Right, and if {next}?",
)
_NEXT_COMMANDS = {
    Operation.ADD: (
        "Add {b}.",
        "Now add {b}.",
        "Plus {b}?",
        "Add {b} to that.",
        "And plus {b}?",
        "Add {b} more.",
        "Then add {b}.",
        "Plus {b}.",
        "Now plus {b}.",
        "Add {b} to it.",
        "And add {b}.",
        "Now add {b} more.",
    ),
    Operation.SUBTRACT: (
        "Subtract {b}.",
        "Now subtract {b}.",
        "Minus {b}?",
        "Take away {b}.",
        "And minus {b}?",
        "Now take away {b}.",
        "Then subtract {b}.",
        "Minus {b}.",
        "Now minus {b}.",
        "Subtract {b} from that.",
        "And subtract {b}.",
        "Then take away {b}.",
    ),
    Operation.MULTIPLY: (
        "Multiply that by {b}.",
        "Now multiply by {b}.",
        "Times {b}?",
        "And times {b}?",
        "Multiply it by {b}.",
        "Now times {b}.",
        "Multiply by {b}.",
        "Then multiply by {b}.",
        "Times {b}.",
        "Then multiply it by {b}.",
        "And multiply by {b}.",
        "Now multiply it by {b}.",
    ),
    Operation.DIVIDE: (
        "Divide that by {b}.",
        "Now divide by {b}.",
        "Divided by {b}?",
        "And divided by {b}?",
        "Divide it by {b}.",
        "Now divide it by {b}.",
        "Divide by {b}.",
        "Then divide by {b}.",
        "Divided by {b}.",
        "Then divide it by {b}.",
        "And divide by {b}.",
        "Now divide that by {b}.",
    ),
}
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
        sentence = draw.template(f"sum_{made.operation.name}", _SENTENCES[made.operation])
        return sentence.format(a=_operand(draw, made.left), b=_operand(draw, made.right))
    return draw.template("sum", _QUESTIONS).format(sum=_expression(draw, made))


def _expression(draw: Draw, made: Sum) -> str:
    if draw.chance(0.6):
        space = draw.pick(("", " "))
        return f"{made.left}{space}{draw.pick(_SYMBOLS[made.operation])}{space}{made.right}"
    # "3 added to 4" is 4 + 3; the answer states the operands in the order in which they were said.
    return f"{_operand(draw, made.left)} {draw.pick(_WORDS[made.operation])} {_operand(draw, made.right)}"


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
        return draw.template(f"command_{made.operation.name}", _NEXT_COMMANDS[made.operation]).format(b=number)
    step = draw.template(f"next_{made.operation.name}", _NEXT_VERBS[made.operation]).format(b=number)
    return draw.template("next", _NEXT_QUESTIONS).format(next=step)
