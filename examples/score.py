"""How probable are these sentences to the model? Scores a prompt's own tokens without generating any."""

from openai import OpenAI

client = OpenAI()

for sentence in ["The capital of France is Paris.", "The capital of France is carrot."]:
    reply = client.completions.create(model="text-davinci-003", prompt=sentence, max_tokens=0, echo=True, logprobs=0)
    logprobs = reply.choices[0].logprobs
    assert logprobs is not None
    assert logprobs.token_logprobs is not None
    # The first token has no score: nothing stands before it.
    scores = [score for score in logprobs.token_logprobs if score is not None]
    print(f"{sum(scores) / len(scores):8.3f} per token  {sentence}")
