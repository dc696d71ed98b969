"""The model calls a function of yours, gets its result, and answers; then it fills in a form that you gave it."""

import json
from typing import Any, Literal

from openai import OpenAI
from pydantic import BaseModel

client = OpenAI()
model = "gpt-4"


def get_weather(city: str) -> str:
    """The function that the model may call: a thermometer with a fixed opinion."""
    return json.dumps({"temperature": {"Paris": 21, "Rome": 30}.get(city, 15)})


class Person(BaseModel):
    """A form: whatever the model answers has this shape."""

    kind: Literal["friend", "stranger"]
    is_polite: bool


weather: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the weather of a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "maxLength": 20}},
            "required": ["city"],
            "additionalProperties": False,
        },
        "strict": True,
    },
}

messages: list[Any] = [{"role": "user", "content": "What is the weather in Paris?"}]
choice = client.chat.completions.create(
    model=model, messages=messages, tools=[weather], tool_choice="required", parallel_tool_calls=False, temperature=0
).choices[0]
messages.append(choice.message)
for call in choice.message.tool_calls or []:
    print(f"called: {call.function.name}({call.function.arguments})")
    result = get_weather(**json.loads(call.function.arguments))
    messages.append({"role": "tool", "tool_call_id": call.id, "content": result})
reply = client.chat.completions.create(model=model, messages=messages, tools=[weather], temperature=0, max_tokens=60)
print(f"answer: {reply.choices[0].message.content}")

form = client.chat.completions.parse(
    model=model, messages=[{"role": "user", "content": "Hello, my friend!"}], response_format=Person, temperature=0
)
print(f"form: {form.choices[0].message.parsed!r}")
