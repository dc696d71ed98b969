"""`response_format`, from the wire to the schema that the answer has to fit."""

from parley.api.explain import wording
from parley.api.openai.schema_bounds import check_bounds
from parley.api.openai.schemas.tools import ResponseFormat
from parley.api.openai.tools import check_name
from parley.core.requests import AnswerLabel, Schema

_ANY_OBJECT = '{"type":"object"}'
_PARAM = "response_format"


def to_answer(response_format: ResponseFormat | None) -> Schema | None:
    """The schema; None where any text will do. Raises InvalidRequest."""
    if response_format is None:
        return None
    declared = response_format.json_schema
    if response_format.type != "json_schema":
        if declared is not None:
            raise wording.unknown_parameter(f"{_PARAM}.json_schema")
        is_object = response_format.type == "json_object"
        return Schema(text=_ANY_OBJECT, subject=_PARAM, param=_PARAM) if is_object else None
    if declared is None:
        raise wording.missing(f"{_PARAM}.json_schema")
    check_name(declared.name, f"{_PARAM}.json_schema.name")
    subject = f"{_PARAM} '{declared.name}'"
    text = _ANY_OBJECT if declared.schema is None else check_bounds(declared.schema, subject, _PARAM)
    label = AnswerLabel(name=declared.name, description=declared.description, is_strict=declared.strict)
    return Schema(text=text, subject=subject, param=_PARAM, label=label)
