"""How large a regular expression becomes when its repeats are written out: what an engine has to work through."""

import re

_REPEAT = re.compile(r"\{(\d{1,9})(,(\d{0,9}))?\}")
_CLASS = re.compile(r"\[\^?\]?(?:\\.|[^\]\\])*\]?", re.DOTALL)


def written_out_size(pattern: str) -> int:
    """Characters and classes of `pattern` with every counted repeat written out; groups count what is in them.

    An estimate for any text: whether it is a regular expression at all is not asked here.
    """
    # The size of each open group, and that of the last thing in it, which a repeat would multiply.
    sizes, last, position = [0], 0, 0
    while position < len(pattern):
        character, length = pattern[position], 1
        repeat = _REPEAT.match(pattern, position)
        if character == "(":
            sizes[-1] += last
            sizes.append(0)
            last = 0
        elif character == ")" and len(sizes) > 1:
            last += sizes.pop()
        elif repeat is not None:
            last *= max(int(repeat[1]), int(repeat[3] or 0), 1)
            length = len(repeat[0])
        else:
            sizes[-1] += last
            last = 1
            found = _CLASS.match(pattern, position)
            length = 2 if character == "\\" else len(found[0]) if found is not None else 1
        position += length
    return sum(sizes) + last
