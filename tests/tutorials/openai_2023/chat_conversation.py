"""A chat bot that remembers: system, user and assistant messages grow turn by turn."""

import openai

messages = [{"role": "system", "content": "You are a helpful assistant."}]

for question in ["Who won the world series in 2020?", "Where was it played?", "Thank you!"]:
    messages.append({"role": "user", "content": question})
    response = openai.ChatCompletion.create(model="gpt-3.5-turbo", messages=messages, max_tokens=40, temperature=0.7)
    reply = response["choices"][0]["message"]["content"]
    messages.append({"role": "assistant", "content": reply})
    print(f"turn: {response['usage']['prompt_tokens']} {response.choices[0].message.role} {reply!r}")
