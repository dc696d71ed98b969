"""A chat without any client library."""

import os

import requests

api_key = os.environ["OPENAI_API_KEY"]
url = f"{os.environ['OPENAI_API_BASE']}/chat/completions"

headers = {"Content-Type": "application/json", "Authorization": f"Bearer {api_key}"}
data = {
    "model": "gpt-3.5-turbo",
    "messages": [{"role": "user", "content": "Hello! What is the capital of France?"}],
    "temperature": 1.0,
    "top_p": 1.0,
    "n": 1,
    "max_tokens": 24,
    "stream": False,
    "presence_penalty": 0,
    "frequency_penalty": 0,
}

response = requests.post(url, headers=headers, json=data, timeout=60)
if response.status_code == 200:
    print("answer:", response.json()["choices"][0]["message"]["content"].strip())
else:
    print("error:", response.status_code, response.text)
