"""Can the model's server do what is asked? What it cannot, and we cannot do for it, is refused by name before it is called."""

from collections.abc import Iterator

from parley.core.errors import UnsupportedParameter
from parley.core.requests import ChatPrompt, GenerationRequest, TextPrompt, ToolChoice
from parley.core.snapshot import Weights
from parley.core.upstream import Abilities


def check_abilities(request: GenerationRequest, weights: Weights) -> None:
    """Raise UnsupportedParameter for the first field that an upstream does not take. Our own engines take all."""
    if weights.upstream is None:
        return
    for param, what in _missing(request, weights, weights.upstream.abilities):
        raise UnsupportedParameter(
            f"Unsupported parameter: '{param}' is not supported with the model `{request.model}`: its server "
            f"({weights.upstream.kind}) {what}.",
            param=param,
        )


def _missing(request: GenerationRequest, weights: Weights, abilities: Abilities) -> Iterator[tuple[str, str]]:
    """Parameters, each with what its server lacks."""
    sampling = request.sampling
    is_chat = any(isinstance(prompt, ChatPrompt) for prompt in request.prompts)
    # With ids, a chat goes the way of completions.
    has_logprobs = (
        abilities.has_chat_logprobs if is_chat and not weights.is_tokenized_here else abilities.has_completion_logprobs
    )
    if sampling.logit_bias and not abilities.takes_logit_bias:
        yield "logit_bias", "does not take biases"
    if sampling.logprobs is not None and not has_logprobs:
        yield "logprobs", "tells no log-probabilities"
    if request.best_of > request.n and not has_logprobs:
        yield "best_of", "tells no log-probabilities to rank by"
    if request.echo and sampling.logprobs is not None and not (abilities.scores_prompts and weights.is_tokenized_here):
        yield "echo", "does not tell the log-probabilities of a prompt; without 'logprobs' it can be echoed"
    for prompt in request.prompts:
        if isinstance(prompt, ChatPrompt):
            yield from _missing_for_tools(prompt, weights, abilities)
        elif not weights.is_tokenized_here:
            yield from _missing_for_text(prompt, abilities)


def _missing_for_text(prompt: TextPrompt, abilities: Abilities) -> Iterator[tuple[str, str]]:
    if prompt.token_ids is not None:
        yield "prompt", "is given texts, not token ids, because its vocabulary is not known here"
    if prompt.suffix is not None and not abilities.takes_suffix:
        yield "suffix", "cannot fill in the middle"


def _missing_for_tools(prompt: ChatPrompt, weights: Weights, abilities: Abilities) -> Iterator[tuple[str, str]]:
    tools = prompt.tools
    if weights.is_tokenized_here:
        # Its prompts are written here, and so would be the calls; only its own chats can be held to a form.
        if tools is not None:
            yield (
                tools.field,
                "has tools in its own chats alone, which it does not write while its vocabulary is used here",
            )
        if prompt.answer is not None:
            yield (
                prompt.answer.param,
                "holds only its own chats to a form, which it does not write while its vocabulary is used here",
            )
        return
    if tools is None:
        return
    if (tools.choice is ToolChoice.REQUIRED or tools.only is not None) and not abilities.enforces_choice:
        yield tools.choice_field, "proposes functions to the model and cannot make it call one"
    if any(function.is_strict for function in tools.functions) and not abilities.enforces_strict:
        yield "strict", "does not hold arguments to their schema"
