"""Several calls at once, with the asynchronous half of the library."""

import asyncio

import openai


async def ask(question):
    response = await openai.ChatCompletion.acreate(
        model="gpt-3.5-turbo", messages=[{"role": "user", "content": question}], max_tokens=8
    )
    return response.choices[0].message.content


async def stream(prompt):
    text = ""
    async for event in await openai.Completion.acreate(
        model="text-davinci-003", prompt=prompt, max_tokens=8, stream=True
    ):
        text += event.choices[0].text
    return text


async def main():
    answers = await asyncio.gather(*[ask(f"What is {number} plus {number}?") for number in range(3)])
    print("answers:", len(answers), all(isinstance(answer, str) for answer in answers))
    print("stream:", repr(await stream("One, two, three,")))


asyncio.run(main())
