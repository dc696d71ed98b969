"""Let the model correct a sentence."""

import openai

edit = openai.Edit.create(
    model="text-davinci-edit-001",
    input="What day of the wek is it?",
    instruction="Fix the spelling mistakes",
)
print(edit)
