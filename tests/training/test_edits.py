"""Edits are taught in the very words in which `/v1/edits` asks for them."""

from random import Random

import msgspec

from parley.api.openai import edits as endpoint
from parley.core.requests import ChatPrompt
from training.corpus.draw import Draw, Side
from training.corpus.edits import edit
from training.samples import Dialogue


def test_an_edit_is_asked_for_as_the_endpoint_asks():
    taught = edit(Draw(Random(1), Side.TRAIN))
    assert isinstance(taught, Dialogue)
    *asked, _ = [(message.role, message.content) for message in taught.messages]
    instruction, _, text = asked[-1][1].removeprefix("Instruction: ").partition("\nText: ")
    body = {"model": "text-davinci-edit-001", "instruction": instruction, "input": text}
    [prompt] = endpoint.to_core(endpoint.BODY.decode(msgspec.json.encode(body)), "text-davinci-edit-001").prompts
    assert isinstance(prompt, ChatPrompt)
    assert [(message.role, message.content) for message in prompt.messages] == asked
