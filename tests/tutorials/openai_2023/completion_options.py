"""Every option of a completion, one call after another."""

import openai

several = openai.Completion.create(model="text-davinci-003", prompt=["Once upon a time", "It was"], n=2, max_tokens=5)
print("several:", [choice.index for choice in several.choices], several.usage.completion_tokens)

scored = openai.Completion.create(
    model="davinci", prompt="The sky is", max_tokens=4, temperature=0, logprobs=2, echo=True
)
logprobs = scored.choices[0].logprobs
print(
    "scored:", len(logprobs.tokens), len(logprobs.token_logprobs), logprobs.token_logprobs[0], logprobs.text_offset[0]
)
print("echoed:", scored.choices[0].text.startswith("The sky is"))

best = openai.Completion.create(model="curie", prompt="Say hello:", max_tokens=5, best_of=3, n=1, stop=["\n", "###"])
print("best:", len(best.choices), best.choices[0].finish_reason)

banned = openai.Completion.create(
    model="babbage", prompt="A list:", max_tokens=5, logit_bias={"11": -100}, user="user-1234"
)
print("banned:", banned.object, banned.model)

streamed = openai.Completion.create(model="ada", prompt="One two three", max_tokens=6, temperature=0, stream=True)
print("streamed:", "".join(event["choices"][0]["text"] for event in streamed) != "")
