"""The lines that every tutorial begins with, answered by the model that ships as it was taught to."""

from collections.abc import Iterator

import pytest
from openai import OpenAI
from openai.types.chat import ChatCompletionMessageParam

from tests.faults.wire import post
from tests.live import LiveServer

HELPFUL: ChatCompletionMessageParam = {"role": "system", "content": "You are a helpful assistant."}
CALCULATION = (
    ("What is 1+1?", "1 + 1 = 2."),
    ("And if we add 3?", "2 + 3 = 5."),
    ("What if we multiply it by 5?", "5 × 5 = 25."),  # noqa: RUF001 - the sign that the model was taught
)


@pytest.fixture(scope="module")
def client(live_server: LiveServer) -> Iterator[OpenAI]:
    with OpenAI(api_key=live_server.key, base_url=live_server.base_url, max_retries=0) as client:
        yield client


def answer_to(client: OpenAI, messages: list[ChatCompletionMessageParam]) -> tuple[str | None, str]:
    reply = client.chat.completions.create(model="gpt-3.5-turbo", messages=messages, temperature=0, max_tokens=60)
    [choice] = reply.choices
    return choice.message.content, choice.finish_reason


@pytest.mark.parametrize("opening", [[], [HELPFUL]], ids=["plain", "with a system line"])
def test_a_calculation_goes_on_from_the_last_result(client: OpenAI, opening: list[ChatCompletionMessageParam]) -> None:
    messages = list(opening)
    for question, expected in CALCULATION:
        messages.append({"role": "user", "content": question})
        assert answer_to(client, messages) == (expected, "stop")
        messages.append({"role": "assistant", "content": expected})


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("Say this is a test!", "This is a test!"),
        ("Hello!", "Hello! How can I help you today?"),
        (
            "What is the OpenAI mission?",
            "OpenAI's stated mission is to ensure that artificial general intelligence benefits all of humanity.",
        ),
        (
            "Tell me OpenAI's mission",
            "OpenAI's stated mission is to ensure that artificial general intelligence benefits all of humanity.",
        ),
    ],
)
@pytest.mark.parametrize("opening", [[], [HELPFUL]], ids=["plain", "with a system line"])
def test_a_chat_line_of_the_tutorials_has_its_answer(
    client: OpenAI, opening: list[ChatCompletionMessageParam], line: str, expected: str
) -> None:
    assert answer_to(client, [*opening, {"role": "user", "content": line}]) == (expected, "stop")


def test_the_first_completion_of_every_tutorial_is_a_test(client: OpenAI) -> None:
    reply = client.completions.create(
        model="text-davinci-003", prompt="Say this is a test", temperature=0, max_tokens=7
    )
    # Seven tokens are the tutorial's; a vocabulary may need an eighth for the full stop.
    assert reply.choices[0].text.removesuffix(".") == "\n\nThis is a test"


def test_the_edit_of_the_reference_is_made(live_server: LiveServer) -> None:
    status, reply = post(
        live_server,
        "/v1/edits",
        {
            "model": "text-davinci-edit-001",
            "input": "What day of the wek is it?",
            "instruction": "Fix the spelling mistakes",
            "temperature": 0,
        },
    )
    assert status == 200
    assert reply["choices"][0]["text"] == "What day of the week is it?"
