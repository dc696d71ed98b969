"""Print the answer while it is written."""

import time

import openai

start_time = time.time()

response = openai.ChatCompletion.create(
    model="gpt-3.5-turbo",
    messages=[{"role": "user", "content": "Count to 100, with a comma between each number and no newlines."}],
    temperature=0,
    max_tokens=30,
    stream=True,
)

collected_chunks = []
collected_messages = []
for chunk in response:
    chunk_time = time.time() - start_time
    collected_chunks.append(chunk)
    chunk_message = chunk["choices"][0]["delta"]
    collected_messages.append(chunk_message)
    print(f"Message received {chunk_time:.2f} seconds after request: {chunk_message.get('content', '')!r}")

full_reply_content = "".join([m.get("content", "") for m in collected_messages])
print(f"first role: {collected_messages[0]['role']}")
print(f"finish reason: {collected_chunks[-1]['choices'][0]['finish_reason']}")
print(f"Full conversation received: {full_reply_content!r}")
