"""LangChain's tools and structured output on this server (`pip install langchain-openai`, which the other examples do not need)."""

from typing import Literal

from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import BaseModel


@tool
def get_weather(city: Literal["Paris", "Rome"]) -> str:
    """Get the weather of a city"""
    return f'{{"temperature": {len(city)}}}'


class Verdict(BaseModel):
    """Whether something is so."""

    is_true: bool
    certainty: Literal["low", "high"]


model = ChatOpenAI(model="gpt-4o", temperature=0, max_completion_tokens=100)

question = HumanMessage("What is the weather in Paris?")
call = model.bind_tools([get_weather], tool_choice="required", parallel_tool_calls=False).invoke([question])
results = [ToolMessage(get_weather.invoke(each["args"]), tool_call_id=each["id"]) for each in call.tool_calls]
print("called:", call.tool_calls[0]["name"], call.tool_calls[0]["args"])
print("answer:", model.bind_tools([get_weather]).invoke([question, call, *results]).content)

for method in ("json_schema", "function_calling"):
    print(f"{method}:", model.with_structured_output(Verdict, method=method).invoke("Is Rome in Italy?"))
