"""List what there is."""

import openai

models = openai.Model.list()
print("models:", " ".join(sorted(model.id for model in models.data)))
print("first:", models.data[0].object, type(models["data"][0]["permission"]).__name__)

model = openai.Model.retrieve("text-davinci-003")
print("model:", model.id, model.object, model.owned_by)

engines = openai.Engine.list()
print("engines:", engines.object, " ".join(sorted(engine.id for engine in engines.data)))

engine = openai.Engine.retrieve("davinci")
print("engine:", engine.id, engine.object, engine.ready)
