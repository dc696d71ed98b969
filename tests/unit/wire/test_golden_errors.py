"""Every row of the error contract, byte for byte: status, body and the headers that steer retries."""

import json

import pytest

from parley.api.errors import error_body
from parley.core.errors import ParleyError
from tests.builders_wire import REQUEST_ID
from tests.golden import golden, names, written
from tests.unit.wire.error_cases import CASES


def answer(name: str) -> str:
    """The reply to a case, as the golden files have it."""
    with pytest.raises(ParleyError) as raised:
        CASES[name]()
    status, body, headers = error_body(raised.value, REQUEST_ID)
    return written({"status": status, "headers": headers, "body": json.loads(body)})


@pytest.mark.parametrize("name", sorted(CASES))
def test_the_reply_is_the_golden_one(name):
    assert answer(name) == golden(f"errors/{name}")


def test_every_golden_error_has_its_case():
    assert names("errors") == set(CASES)


@pytest.mark.parametrize("name", sorted(CASES))
def test_all_four_keys_are_there(name):
    assert set(json.loads(answer(name))["body"]["error"]) == {"message", "type", "param", "code"}
