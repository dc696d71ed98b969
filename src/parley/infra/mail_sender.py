"""What may stand as the sender of mails: exactly one address, with or without a name."""

import re
from email.errors import MessageError
from email.policy import SMTPUTF8

_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_ADDRESS = rf"{_ATOM}(?:\.{_ATOM})*@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*"
# No name has the end of a line in it, nor half of a character; one without quotes has nothing that parts addresses.
_NEVER = r'"\\\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff'
_SENDER = re.compile(rf'{_ADDRESS}|(?:"[^{_NEVER}]*"|[^{_NEVER},;:<>@()\[\]]*) ?<{_ADDRESS}>')


def is_sender(text: str) -> bool:
    """Whether it is `address`, `Name <address>` or `"Name" <address>`, with an address that every mail server takes."""
    # An encoded word (`=?utf-8?q?...?=`) could hide what ends a line; a name is written as it is.
    if _SENDER.fullmatch(text) is None or "=?" in text:
        return False
    # Some names that are well formed are more than the parser of headers can read, and every letter has one.
    try:
        addresses = SMTPUTF8.header_factory("From", text).addresses
    except (AttributeError, LookupError, MessageError, TypeError, ValueError):
        return False
    return [address.addr_spec for address in addresses] == [text.rpartition("<")[2].rstrip(">")]
