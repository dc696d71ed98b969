"""The parameters that chat and completions share, from the wire to the engine-neutral request."""

import re
from collections.abc import Mapping

from parley.api.explain import wording
from parley.api.openai.schemas.shared import SamplingParameters
from parley.api.openai.today import unsupported
from parley.core.errors import InvalidRequest
from parley.core.requests import Sampling

# No vocabulary comes near 2**31 tokens; `prompting` knows the served model's own.
_TOKEN_ID = re.compile("[0-9]{1,9}")


def to_sampling(body: SamplingParameters, *, logprobs: int | None) -> Sampling:
    """How tokens are chosen. Raises InvalidRequest for a key of `logit_bias` that is no token id."""
    return Sampling(
        temperature=_or_default(body.temperature, 1.0),
        top_p=_or_default(body.top_p, 1.0),
        presence_penalty=_or_default(body.presence_penalty, 0.0),
        frequency_penalty=_or_default(body.frequency_penalty, 0.0),
        logit_bias=_to_bias(body.logit_bias or {}),
        stop=_to_stop(body.stop),
        seed=body.seed,
        logprobs=logprobs,
    )


def check_stream_options(body: SamplingParameters) -> None:
    """Raise InvalidRequest for options of a stream that was not asked for, or that cannot be had."""
    if body.stream_options is None:
        return
    if not body.stream:
        raise only_with("stream_options", "stream")
    if body.stream_options.include_obfuscation:
        raise unsupported("stream_options.include_obfuscation", (False,))


def includes_usage(body: SamplingParameters) -> bool:
    """Whether the stream shall end with a chunk that has the usage."""
    return body.stream_options is not None and bool(body.stream_options.include_usage)


def only_with(param: str, other: str) -> InvalidRequest:
    """The refusal of a parameter that means nothing without another."""
    return InvalidRequest(
        f"The '{param}' parameter is only allowed when '{other}' is enabled.", param=param, code="invalid_value"
    )


def _or_default(value: float | None, default: float) -> float:
    return default if value is None else value


def _to_stop(stop: str | list[str] | None) -> tuple[str, ...]:
    texts = [stop] if isinstance(stop, str) else stop or []
    # An empty text would stop before the first token; clients send it from an input field that was left empty.
    return tuple([text for text in texts if text])


def _to_bias(bias: Mapping[str, float]) -> dict[int, float]:
    for key in bias:
        if not _TOKEN_ID.fullmatch(key):
            raise InvalidRequest(
                f"Invalid key in 'logit_bias': {wording.shown(key)}. "
                "You should only be submitting non-negative integers.",
                param="logit_bias",
                code="invalid_value",
            )
    return {int(key): value for key, value in bias.items()}
