"""Write down what is said in a file."""

import sys

import openai

with open(sys.argv[1], "rb") as file:  # noqa: PTH123 - as people write it
    transcript = openai.Audio.transcribe("whisper-1", file)
print(transcript)
