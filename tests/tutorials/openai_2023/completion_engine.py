"""A command-line question and answer loop as 2022 wrote it: engine= and the longest answer there is."""

import openai


def generate_response(prompt):
    completions = openai.Completion.create(
        engine="text-davinci-003",
        prompt=prompt,
        max_tokens=2048,
        n=1,
        stop=None,
        temperature=0.5,
    )
    return completions.choices[0]


for prompt in ["Hello, what can you do?", "Tell me a joke."]:
    choice = generate_response(prompt)
    print(f"{choice.finish_reason}: {choice.text.strip()!r}")
