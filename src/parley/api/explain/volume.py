"""A look at a body's bytes before it is decoded: does it hold more values than the event loop has time for?

A decoder makes an object of each array, object and string, and nothing else runs meanwhile, in a thread or not: 4 MB of
`[]` took 0.2 to 1.3 s. Counting the bytes that open them takes 20 ms.
"""

import re

# Each far above what a conversation of 2,048 messages, or 2,048 prompts of token ids, is written with.
MAX_CONTAINERS = 32 * 1024
MAX_STRINGS = 128 * 1024

# Everything but quotes and what opens an array or an object.
_UNCOUNTED = bytes(sorted(set(range(256)) - set(b'"[{')))
_STRING = re.compile(rb'"[^"]*"?')


def has_too_many_values(body: bytes) -> bool:
    """Whether the arrays and objects in `body`, or its strings, are too many. Exact for JSON, and quick for anything."""
    if len(body) <= MAX_CONTAINERS or (_num_openings(body) <= MAX_CONTAINERS and body.count(b'"') <= 2 * MAX_STRINGS):
        return False
    # Some of them may stand inside a string, as in a prompt that is a program.
    marks = body.replace(b"\\\\", b"").replace(b'\\"', b"").translate(None, _UNCOUNTED)
    if marks.count(b'"') > 2 * MAX_STRINGS:
        return True
    return len(_STRING.sub(b"", marks)) > MAX_CONTAINERS


def _num_openings(body: bytes) -> int:
    return body.count(b"[") + body.count(b"{")
