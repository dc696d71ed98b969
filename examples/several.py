"""Many requests side by side: the server runs them together, as many as it has slots."""

import asyncio

from openai import AsyncOpenAI


async def main() -> None:
    async with AsyncOpenAI() as client:
        questions = [f"What is {number} plus {number}?" for number in range(1, 9)]
        replies = await asyncio.gather(
            *(
                client.chat.completions.create(
                    model="gpt-3.5-turbo",
                    messages=[{"role": "user", "content": question}],
                    max_tokens=20,
                    temperature=0,
                )
                for question in questions
            )
        )
    for question, reply in zip(questions, replies, strict=True):
        print(f"{question}  {reply.choices[0].message.content}")


asyncio.run(main())
