"""Integers and the four operations: the ranges that the model is taught, and how sums are written."""

from dataclasses import dataclass
from enum import StrEnum

from training.corpus.draw import Draw, Side, falls_to_first, is_held_out

_SMALL = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
).split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()

LARGEST_TERM = 99
LARGEST_PRODUCT = 100
# Of the subtractions so many are asked as people ask them, the larger number first.
_NATURAL_SHARE = 0.6


class Operation(StrEnum):
    """What is done with two integers; the value is the sign in answers."""

    ADD = "+"
    SUBTRACT = "-"
    MULTIPLY = "×"
    DIVIDE = "÷"


@dataclass(frozen=True, slots=True)
class Sum:
    """Two operands and what is done with them. Divisions are exact."""

    left: int
    operation: Operation
    right: int

    @property
    def result(self) -> int:
        """What it comes to."""
        match self.operation:
            case Operation.ADD:
                return self.left + self.right
            case Operation.SUBTRACT:
                return self.left - self.right
            case Operation.MULTIPLY:
                return self.left * self.right
            case Operation.DIVIDE:
                return self.left // self.right

    @property
    def text(self) -> str:
        """The sum with its result, as answers state it."""
        return f"{self.left} {self.operation} {self.right} = {self.result}"

    def is_held_out(self) -> bool:
        """Whether the operand pair is kept out of training.

        Additions are kept out in both orders. Of a pair of factors either one order of the product is kept out (the larger
        factor first), or one of the two quotients (by the larger factor); the rest of its family is taught: tables this
        small are learned as facts, which nobody can know unheard.
        """
        left, right = self.left, self.right
        if self.operation is Operation.DIVIDE:
            return self.right > self.result and _is_kept_out(self.result, self.right, as_product=False)
        if self.operation is Operation.MULTIPLY:
            return left > right and _is_kept_out(right, left, as_product=True)
        if self.operation is Operation.ADD:
            left, right = sorted((left, right))
        return is_held_out("terms", self.operation, left, right)

    def is_in_range(self) -> bool:
        """Whether the sum is inside what the model is said to know."""
        match self.operation:
            case Operation.ADD | Operation.SUBTRACT:
                return 0 <= self.left <= LARGEST_TERM and 0 <= self.right <= LARGEST_TERM
            case Operation.MULTIPLY:
                return _is_in_table(self.left, self.right)
            case Operation.DIVIDE:
                return self.right > 0 and self.left % self.right == 0 and _is_in_table(self.result, self.right)


def _is_kept_out(low: int, high: int, *, as_product: bool) -> bool:
    return is_held_out("table", low, high) and falls_to_first("table", low, high) == as_product


def _is_in_table(left: int, right: int) -> bool:
    low, high = sorted((left, right))
    return 0 <= low <= 10 and high <= 50 and (low * high <= LARGEST_PRODUCT)


def random_sum(draw: Draw, operation: Operation) -> Sum:
    """A sum inside the taught range, on the draw's side of the split."""
    while True:
        made = _any_sum(draw, operation)
        if made.is_in_range() and made.is_held_out() == (draw.side is Side.HELD_OUT):
            return made


def _any_sum(draw: Draw, operation: Operation) -> Sum:
    if operation in (Operation.ADD, Operation.SUBTRACT):
        top = 20 if draw.chance(0.3) else LARGEST_TERM
        left, right = draw.between(0, top), draw.between(0, top)
        if operation is Operation.SUBTRACT and draw.chance(_NATURAL_SHARE):
            left, right = max(left, right), min(left, right)
        return Sum(left, operation, right)
    low, high = draw.between(0, 10), draw.between(0, 10 if draw.chance(0.5) else 50)
    left, right = (low, high) if draw.chance(0.5) else (high, low)
    if operation is Operation.MULTIPLY:
        return Sum(left, operation, right)
    return Sum(left * right, operation, right)


def in_words(number: int) -> str:
    """An integer from 0 to 99 in English."""
    if number < 20:
        return _SMALL[number]
    tens, ones = divmod(number, 10)
    return _TENS[tens - 2] + (f"-{_SMALL[ones]}" if ones else "")
