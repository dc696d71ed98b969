"""The usage of a whole round on an upstream: what its server reports of it, beside what we counted. Pure."""

from parley.core.estimate import estimate_tokens, num_text_bytes
from parley.core.requests import ChatPrompt, SequenceRequest
from parley.core.usage import Doubt, Usage
from parley.serving.engines.openai_server.frames import ReportedUsage
from parley.serving.engines.openai_server.tally import Count, judge_input, judge_output

# What a chat template may add around each message and each function, and around them all: nobody can say more of a prompt we did not read.
_MOST_TOKENS_AROUND_MESSAGE, _MOST_TOKENS_AROUND_PROMPT = 64, 1024
# More than any model reads in the place of one picture.
_MOST_TOKENS_OF_PICTURE = 32_768


def judge(request: SequenceRequest, reported: ReportedUsage | None, counted: Count) -> tuple[Usage, Doubt | None]:
    """What is charged for the round, and the worst of what there is to doubt in it."""
    num_output, output_doubt = judge_output(
        None if reported is None else reported.completion_tokens,
        counted,
        num_sequences=request.num_sequences,
    )
    num_input, input_doubt = judge_input(
        None if reported is None else reported.prompt_tokens,
        known=len(request.prompt) if request.source is None else None,
        estimated=1 if request.source is None else estimate_tokens(request.source),
        most=_most_input(request),
    )
    num_cached = min(num_input, 0 if reported is None else reported.cached_tokens)
    doubts = {output_doubt, input_doubt}
    worst = next((doubt for doubt in (Doubt.DISPUTED, Doubt.ESTIMATED) if doubt in doubts), None)
    return Usage(input_tokens=num_input, cached_tokens=num_cached, output_tokens=num_output), worst


def _most_input(request: SequenceRequest) -> int:
    """No token is shorter than a byte."""
    source = request.source
    if isinstance(source, ChatPrompt):
        num_pictures = sum(len(message.pictures) for message in source.messages)
        num_functions = 0 if source.tools is None else len(source.tools.functions)
        around = (len(source.messages) + num_functions) * _MOST_TOKENS_AROUND_MESSAGE + _MOST_TOKENS_AROUND_PROMPT
        return num_text_bytes(source) + num_pictures * _MOST_TOKENS_OF_PICTURE + around
    return (0 if source is None else num_text_bytes(source)) + _MOST_TOKENS_AROUND_PROMPT
