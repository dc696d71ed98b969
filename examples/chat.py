"""A conversation in the terminal: each answer is printed while it is written. An empty line or Ctrl-D ends it."""

from openai import OpenAI
from openai.types.chat import ChatCompletionMessageParam

client = OpenAI()
messages: list[ChatCompletionMessageParam] = [{"role": "system", "content": "You are brief and friendly."}]


def asked() -> str:
    """The next question; empty at the end."""
    try:
        return input("you: ").strip()
    except EOFError:
        print()
        return ""


while question := asked():
    messages.append({"role": "user", "content": question})
    stream = client.chat.completions.create(model="gpt-3.5-turbo", messages=messages, max_tokens=200, stream=True)
    answer = ""
    print("parley: ", end="")
    for chunk in stream:
        piece = chunk.choices[0].delta.content or ""
        print(piece, end="", flush=True)
        answer += piece
    print()
    messages.append({"role": "assistant", "content": answer})
