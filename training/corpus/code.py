"""Simple Python: the rest of a line, and what is missing in the middle."""

from training.corpus.draw import Draw
from training.corpus.framing import with_system
from training.corpus.wordings import wordings
from training.samples import Completion, Dialogue, Sample, assistant, user

# «» marks what can be left out: it follows from what stands before it, or from both sides.
_SNIPPETS = (
    "def add({a}, {b}):\n    return« {a} + {b}»\n",
    "def subtract({a}, {b}):\n    return« {a} - {b}»\n",
    "def multiply({a}, {b}):\n    return« {a} * {b}»\n",
    "def divide({a}, {b}):\n    return« {a} / {b}»\n",
    "def square({a}):\n    return« {a} * {a}»\n",
    "def double({a}):\n    return« 2 * {a}»\n",
    "def negate({a}):\n    return« -{a}»\n",
    "def is_even({a}):\n    return« {a} % 2 == 0»\n",
    "def is_odd({a}):\n    return« {a} % 2 == 1»\n",
    "def is_positive({a}):\n    return« {a} > 0»\n",
    "def is_empty({a}):\n    return« len({a}) == 0»\n",
    "def first({a}):\n    return« {a}[0]»\n",
    "def last({a}):\n    return« {a}[-1]»\n",
    "def upper({a}):\n    return« {a}.upper()»\n",
    "def lower({a}):\n    return« {a}.lower()»\n",
    "def length({a}):\n    return« len({a})»\n",
    'def hello():\n    print(«"Hello, world!")»\n',
    'def greet({a}):\n    print(«f"Hello, {{{a}}}!")»\n',
    "for {a} in range({n}):\n    print(«{a})»\n",
    "for {a} in {b}:\n    print(«{a})»\n",
    "{a} = {n}\nprint(«{a})»\n",
    "{a} = {n}\n{b} = {m}\nprint({a} +« {b})»\n",
    "{a} = []\nfor {b} in range({n}):\n    {a}.append(«{b})»\n",
    "{a} = 0\nfor {b} in range({n}):\n    {a} +=« {b}»\nprint({a})\n",
    "{a} = {n}\nwhile {a} > 0:\n    print({a})\n    {a} -=« 1»\n",
    "class {C}:\n    def __init__(self, {a}):\n        self.{a} =« {a}»\n",
    "class {C}:\n    def __init__(self, {a}, {b}):\n        self.{a} = {a}\n        self.{b} =« {b}»\n",
    "class {C}:\n    def get_{a}(self):\n        return« self.{a}»\n",
    "with open({a}) as file:\n    {b} =« file.read()»\n",
    "if {a} > {b}:\n    print({a})\nelse:\n    print(«{b})»\n",
    "if {a} is None:\n    return« None»\n",
    "try:\n    {a} = int({b})\nexcept« ValueError:»\n    {a} = 0\n",
    "import json\n\n{a} = json.loads(«{b})»\n",
    "def maximum({a}, {b}):\n    if {a} > {b}:\n        return {a}\n    return« {b}»\n",
    "def total({a}):\n    return« sum({a})»\n",
    'if __name__ ==« "__main__":»\n    main()\n',
    "assert add({n}, {m}) ==« {sum}»\n",
    "{a} = [{n}, {m}]\nfor {b} in« {a}:»\n    print({b})\n",
)
_NAMES = tuple(
    "a b c x y z n m i j k item items name names number numbers value values word words text line lines result total left right price user path data key index size".split()
)
_CLASSES = ("Point", "User", "Car", "Book", "Dog", "Box", "Item", "Player", "Account", "Circle")
_ASKED = wordings(
    "Write a Python function that {does}.",
    "[|Please ][write|show me|give me|code|make] [a Python function|a function in Python|Python code|a small Python function] that {does}.",
    "[Can|Could] you [write|show me] [a Python function|a function in Python|Python code] that {does}?",
    "[Python function|Python code|A Python function] that {does}[|.]",
    "I need [a Python function|Python code] that {does}.",
)
_FUNCTIONS = (
    ("adds two numbers", "def add(a, b):\n    return a + b"),
    ("subtracts two numbers", "def subtract(a, b):\n    return a - b"),
    ("multiplies two numbers", "def multiply(a, b):\n    return a * b"),
    ("squares a number", "def square(x):\n    return x * x"),
    ("doubles a number", "def double(x):\n    return 2 * x"),
    ("checks if a number is even", "def is_even(n):\n    return n % 2 == 0"),
    ("prints hello world", 'def hello():\n    print("Hello, world!")'),
    ("reverses a string", "def reverse(text):\n    return text[::-1]"),
    ("sums a list", "def total(numbers):\n    return sum(numbers)"),
    ("returns the larger of two numbers", "def larger(a, b):\n    return max(a, b)"),
)


def code_line(draw: Draw) -> Sample:
    """Code that stops in a line, and the rest of that line."""
    before, hole, _ = _cut(draw)
    return Completion(skill="code_line", prompt=before, answer=hole + "\n")


def code_middle(draw: Draw) -> Sample:
    """Code with a hole, and what fills it."""
    before, hole, after = _cut(draw)
    return Completion(skill="code_middle", prompt=before, answer=hole, suffix=after)


def code_talk(draw: Draw) -> Sample:
    """A small function asked for in conversation."""
    does, code = draw.pick(_FUNCTIONS)
    request = draw.template("code", _ASKED).format(does=does)
    return Dialogue(
        skill="code_talk", messages=with_system(draw, (user(request), assistant(f"```python\n{code}\n```")))
    )


def _cut(draw: Draw) -> tuple[str, str, str]:
    """A snippet's part before the hole, the hole, and the part after it. The names in it belong to the draw's side."""
    first, second = draw.until("variables", lambda: tuple(draw.random.sample(_NAMES, 2)), key=" ".join)
    n, m = draw.between(1, 20), draw.between(1, 20)
    snippet = draw.pick(_SNIPPETS).format(a=first, b=second, n=n, m=m, sum=n + m, C=draw.pick(_CLASSES))
    before, rest = snippet.split("«")
    hole, after = rest.split("»")
    if draw.chance(0.25):
        before = (
            draw.pick(("import os\n\n", "# example\n", "import sys\n\n\n", "x = 1\n\n", '"""A module."""\n\n')) + before
        )
    return before, hole, after
