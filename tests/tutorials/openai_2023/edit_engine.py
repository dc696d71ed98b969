"""Let the model correct a sentence, as the first programs with edits did: with an engine for a model."""

import openai

edit = openai.Edit.create(
    engine="text-davinci-edit-001",
    input="What day of the wek is it?",
    instruction="Fix the spelling mistakes",
    temperature=0,
)
print(edit)
