"""What may stand as the sender of mails: exactly one address, with or without a name."""

import re

_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_ADDRESS = rf"{_ATOM}(?:\.{_ATOM})*@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*"
# No name has the end of a line in it, nor half of a character; one without quotes has nothing that parts addresses.
_NEVER = r'"\\\x00-\x1f\x7f\ud800-\udfff'
_SENDER = re.compile(rf'{_ADDRESS}|(?:"[^{_NEVER}]*"|[^{_NEVER},;:<>@()\[\]]*) ?<{_ADDRESS}>')


def is_sender(text: str) -> bool:
    """Whether it is `address`, `Name <address>` or `"Name" <address>`, with an address that every mail server takes."""
    # An encoded word (`=?utf-8?q?...?=`) could hide what ends a line; a name is written as it is.
    return _SENDER.fullmatch(text) is not None and "=?" not in text
