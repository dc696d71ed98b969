"""The fields of an audio form, checked: each is honoured or refused by its name."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

from parley.api.explain import wording
from parley.api.form import FILE_FIELD, Form
from parley.api.openai.schemas.audio import Granularity, ResponseFormat
from parley.core.errors import InvalidRequest, UnsupportedParameter
from parley.core.languages import LANGUAGES, OTHER_CODES, UNHEARD_CODES
from parley.core.speech import Recording

# `language` is in no description of translations, but the command line of 2023's client has it, for what is spoken.
TRANSLATION_FIELDS = frozenset({"model", "language", "prompt", "response_format", "temperature"})
TRANSCRIPTION_FIELDS = TRANSLATION_FIELDS | {"stream", "timestamp_granularities", "chunking_strategy"}
# Fields of today's API that no engine here honours.
_UNSUPPORTED = ("include", "known_speaker_names", "known_speaker_references")
_FLAGS = {"true": True, "false": False}
_GRANULARITIES: tuple[str, ...] = get_args(Granularity)
_FORMATS: tuple[str, ...] = get_args(ResponseFormat)


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioFields:
    """What a form says. `granularities` is empty where it says nothing of them."""

    model: str
    recording: Recording
    language: str | None
    prompt: str | None
    temperature: float
    response_format: str
    granularities: frozenset[str]
    is_stream: bool


def read_fields(form: Form, known: frozenset[str]) -> AudioFields:
    """The fields of a form of an endpoint that knows these. Raises InvalidRequest with the first fault's name."""
    given = _by_name(form.fields, known)
    if form.recording is None:
        raise wording.missing(FILE_FIELD)
    model = _only(given, "model")
    if model is None:
        raise wording.missing("model")
    response_format = _choice(_only(given, "response_format"), "response_format", _FORMATS) or "json"
    chunking = _only(given, "chunking_strategy")
    if chunking not in (None, "auto"):
        raise UnsupportedParameter(
            "Unsupported value: 'chunking_strategy' supports 'auto' only.", param="chunking_strategy"
        )
    return AudioFields(
        model=model,
        recording=form.recording,
        language=_language(_only(given, "language")),
        prompt=_only(given, "prompt"),
        temperature=_temperature(_only(given, "temperature")),
        response_format=response_format,
        granularities=_granularities(given.get("timestamp_granularities", ()), response_format),
        is_stream=_is_stream(_only(given, "stream"), response_format),
    )


def _by_name(fields: Sequence[tuple[str, str]], known: frozenset[str]) -> Mapping[str, list[str]]:
    """Values by name; clients write the names of lists with brackets behind. What is empty was left out."""
    given: dict[str, list[str]] = {}
    for written, value in fields:
        name = written.removesuffix("[]")
        if known is TRANSCRIPTION_FIELDS and name in _UNSUPPORTED:
            raise UnsupportedParameter(
                f"Unsupported parameter: '{name}' is not supported with this server's models.", param=name
            )
        if name not in known or name not in {written, "timestamp_granularities"}:
            raise wording.unknown_arguments([written])
        if value:
            given.setdefault(name, []).append(value)
    return given


def _only(given: Mapping[str, list[str]], name: str) -> str | None:
    """The value of a field that is no list; of several the last counts, as in JSON."""
    values = given.get(name)
    return values[-1] if values else None


def _choice(value: str | None, name: str, values: Sequence[str]) -> str | None:
    if value is not None and value not in values:
        raise wording.not_one_of(name, values, value)
    return value


def _language(value: str | None) -> str | None:
    if value is None:
        return None
    code = value.lower()
    code = OTHER_CODES.get(code, code)
    if code in UNHEARD_CODES:
        raise InvalidRequest(f"Language '{code}' is not supported.", param="language", code="unsupported_language")
    if code not in LANGUAGES:
        raise InvalidRequest(
            f"Invalid language '{wording.shown(value)}'. Language parameter must be specified in ISO-639-1 format.",
            param="language",
            code="invalid_language_format",
        )
    return code


def _temperature(value: str | None) -> float:
    if value is None:
        return 0.0
    try:
        temperature = float(value)
    except ValueError:
        raise wording.wrong_type("temperature", "a decimal number", value) from None
    if not math.isfinite(temperature):
        raise wording.number_out_of_range()
    if not 0 <= temperature <= 1:
        is_above = temperature > 1
        raise wording.number_bound(
            "temperature", kind="decimal", is_above=is_above, bound=1 if is_above else 0, value=temperature
        )
    return temperature


def _granularities(values: Sequence[str], response_format: str) -> frozenset[str]:
    for value in values:
        _choice(value, "timestamp_granularities", _GRANULARITIES)
    if values and response_format != "verbose_json":
        raise InvalidRequest(
            "Invalid 'timestamp_granularities': it needs 'response_format' to be 'verbose_json'.",
            param="timestamp_granularities",
            code="invalid_value",
        )
    return frozenset(values)


def _is_stream(value: str | None, response_format: str) -> bool:
    if value is None:
        return False
    flag = _FLAGS.get(value.lower())
    if flag is None:
        raise wording.wrong_type("stream", "a boolean", value)
    if flag and response_format != "json":
        raise UnsupportedParameter(
            f"Unsupported value: 'response_format' does not support '{response_format}' with 'stream'; it supports 'json'.",
            param="response_format",
            code="unsupported_value",
        )
    return flag
