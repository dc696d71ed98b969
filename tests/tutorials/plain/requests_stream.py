"""Reads the event stream line by line, as programs did before a library did it for them."""

import json
import os

import requests

response = requests.post(
    os.environ["OPENAI_API_BASE"] + "/chat/completions",
    headers={"Accept": "text/event-stream", "Authorization": "Bearer " + os.environ["OPENAI_API_KEY"]},
    json={
        "model": "gpt-3.5-turbo",
        "messages": [{"role": "user", "content": "Write one line about the sea."}],
        "max_tokens": 20,
        "stream": True,
    },
    stream=True,
    timeout=60,
)
response.raise_for_status()
print("type:", response.headers["content-type"])

text = ""
is_done = False
for line in response.iter_lines():
    if not line:
        continue
    payload = line.decode("utf-8").removeprefix("data: ")
    if payload == "[DONE]":
        is_done = True
        break
    delta = json.loads(payload)["choices"][0]["delta"]
    text += delta.get("content", "")

print("done:", is_done)
print("text:", repr(text))
