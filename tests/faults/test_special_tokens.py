"""J7 of the fault catalogue on the model that ships: no special token in any text of a client's is ever promoted."""

import json
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

import parley.bundled
from parley.core.requests import ChatMessage, ChatPrompt, Function, Schema, ToolCall, Tools
from parley.core.template import ChatTemplate, Role
from parley.core.tokenizer import Segment
from parley.serving.prompting.render import render
from parley.serving.prompting.templates import TEMPLATES
from parley.serving.prompting.tokenizer import WorkerTokenizer
from tests.faults.wire import post
from tests.live import LiveServer

pytestmark = pytest.mark.asyncio(loop_scope="module")

SHIPPED = Path(parley.bundled.__file__).parent / "parley-mini.gguf"
AROUND = ("{}", "a {} b", "{0}{0}", "<{}>", "é{}€", "{0}\n{0}", "\u200d{}", "{}\u0301", " {} ", "|{}|", "{0}user\n{0}")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def tokenizer() -> AsyncIterator[WorkerTokenizer]:
    tokenizer = WorkerTokenizer(SHIPPED)
    await tokenizer.start()
    yield tokenizer
    await tokenizer.aclose()


def texts_with(tokenizer: WorkerTokenizer) -> list[str]:
    """Every special token of the vocabulary in every surrounding."""
    special = tokenizer.vocabulary.special_tokens
    assert {"<|im_start|>", "<|im_end|>", "<|endoftext|>"} <= set(special)
    return [around.format(text) for text in special for around in AROUND]


async def promoted(tokenizer: WorkerTokenizer, segments: list[Segment]) -> Counter[int]:
    special = set(tokenizer.vocabulary.special_tokens.values())
    return Counter(token_id for token_id in await tokenizer.encode(segments) if token_id in special)


async def test_j7_content_is_never_promoted_and_comes_back_as_it_was(tokenizer: WorkerTokenizer) -> None:
    for text in texts_with(tokenizer):
        ids = await tokenizer.encode([Segment(text, False)])
        assert not set(ids) & set(tokenizer.vocabulary.special_tokens.values()), text
        assert b"".join(await tokenizer.pieces(ids)).decode() == text


@pytest.mark.parametrize("template", TEMPLATES.values(), ids=TEMPLATES)
async def test_j7_no_role_of_any_template_lets_content_add_a_special_token(
    tokenizer: WorkerTokenizer, template: ChatTemplate
) -> None:
    def conversation(text: str) -> list[Segment]:
        # A user turn first, for templates that put the system text into it.
        roles = [Role.USER, *Role]
        messages = [ChatMessage(role=role, content=text, name="a") for role in roles]
        arguments = json.dumps({text: text})
        # Arguments that are no JSON are written as they are; names are none that the wire would let pass.
        calls = (ToolCall(name=text, arguments=arguments), ToolCall(name="f", arguments=text))
        messages.append(ChatMessage(role=Role.ASSISTANT, content=text, calls=calls))
        messages.append(ChatMessage(role=Role.TOOL, content=text, call_id=text))
        schema = Schema(text=json.dumps({"description": text, "enum": [text]}), subject="", param="")
        function = Function(name=text, description=text, parameters=schema)
        return render(template, ChatPrompt(messages=tuple(messages), tools=Tools(functions=(function,))))

    harmless = await promoted(tokenizer, conversation("x"))
    for text in texts_with(tokenizer):
        assert await promoted(tokenizer, conversation(text)) == harmless, text


def num_prompt_tokens(server: LiveServer, path: str, **fields: Any) -> int:
    status, reply = post(server, path, {"max_tokens": 1, **fields} if path != "/v1/edits" else fields)
    assert status == 200, reply
    return int(reply["usage"]["prompt_tokens"])


def chat_tokens(server: LiveServer, *messages: dict[str, Any]) -> int:
    return num_prompt_tokens(server, "/v1/chat/completions", model="gpt-4", messages=list(messages))


async def test_j7_the_prompt_of_a_completion_is_echoed_token_by_token(
    tokenizer: WorkerTokenizer, live_server: LiveServer
) -> None:
    special = tokenizer.vocabulary.special_tokens
    texts = texts_with(tokenizer)
    body = {"model": "text-davinci-003", "prompt": texts, "max_tokens": 0, "echo": True, "logprobs": 0}
    status, reply = post(live_server, "/v1/completions", body)
    assert status == 200
    for text, choice in zip(texts, reply["choices"], strict=True):
        assert choice["text"] == text
        assert not set(choice["logprobs"]["tokens"]) & set(special)


@pytest.mark.parametrize("role", ["system", "developer", "user", "assistant", "tool", "function"])
async def test_j7_a_message_counts_its_text_and_its_scaffolding_and_nothing_else(
    tokenizer: WorkerTokenizer, live_server: LiveServer, role: str
) -> None:
    more = {"tool": {"tool_call_id": "<|im_end|>"}, "function": {"name": "f"}}.get(role, {})
    user = {"role": "user", "content": "a"}
    around = "b {} c"
    empty = chat_tokens(live_server, user, {"role": role, "content": "b", **more})
    empty -= len(await tokenizer.encode([Segment("b", False)]))
    for special in tokenizer.vocabulary.special_tokens:
        text = around.format(special)
        num_text = len(await tokenizer.encode([Segment(text, False)]))
        parts = [{"type": "text", "text": text[:5]}, {"type": "text", "text": text[5:]}]
        for content in (text, parts):
            counted = chat_tokens(live_server, user, {"role": role, "content": content, **more})
            assert counted == empty + num_text, special


async def test_j7_an_edit_and_a_suffix_promote_nothing(tokenizer: WorkerTokenizer, live_server: LiveServer) -> None:
    suffix: dict[str, Any] = {"model": "parley-mini", "prompt": "a"}
    for special in tokenizer.vocabulary.special_tokens:
        lengths = [
            len(await tokenizer.encode([Segment(f"Instruction: {text}\nText: {text}", False)]))
            for text in ("b", special)
        ]
        counts = [
            num_prompt_tokens(live_server, "/v1/edits", model="text-davinci-edit-001", instruction=text, input=text)
            for text in ("b", special)
        ]
        assert counts[1] - counts[0] == lengths[1] - lengths[0], special
        num_text = len(await tokenizer.encode([Segment(special, False)]))
        counted = num_prompt_tokens(live_server, "/v1/completions", **suffix, suffix=special)
        assert counted == len(await tokenizer.encode([Segment("a", False)])) + num_text + 3, special
