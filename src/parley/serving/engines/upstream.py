"""What is said to llama.cpp's server and what it says back: the request rebuilt field by field, its stream read frame by frame."""

import secrets
from collections import Counter
from collections.abc import Iterator

import msgspec

from parley.core.errors import EngineFailed
from parley.core.events import Alternative, ScoredToken
from parley.core.pieces import Pieces
from parley.core.requests import Sampling, SequenceRequest

# The server takes this one for "choose yourself".
_RANDOM_SEED = 0xFFFFFFFF
# Fields of the last frame that we read; without the choice it repeats prompt and settings.
_LAST_FRAME = ("index", "content", "stop", "stop_type", "tokens_predicted")


class Candidate(msgspec.Struct):
    """One token at one position. The server's `bytes` are not read: those of a chosen token are not its piece but the
    text that became ready to send with it."""

    id: int
    logprob: float


class Probability(Candidate):
    top_logprobs: list[Candidate] = []


class Progress(msgspec.Struct):
    processed: int = 0
    cache: int = 0


class Frame(msgspec.Struct):
    """One `data:` frame. `tokens_predicted` counts the sequence so far, also tokens that no frame carries: those that
    left a character unfinished."""

    index: int = 0
    content: str = ""
    tokens: list[int] = []
    tokens_predicted: int = 0
    stop: bool = False
    stop_type: str | None = None
    completion_probabilities: list[Probability] | None = None
    prompt_progress: Progress | None = None
    error: msgspec.Raw | None = None


_frames = msgspec.json.Decoder(Frame)


class FrameReader:
    """Cuts the stream's bytes into frames."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, received: bytes) -> Iterator[Frame]:
        """The frames that are complete now. Raises EngineFailed for an error frame and for nonsense."""
        *whole, self._rest = (self._rest + received).split(b"\n\n")
        for text in whole:
            if text.startswith(b":") or not text:
                continue
            if not text.startswith(b"data: "):
                raise EngineFailed(f"the engine sent no frame: {text[:200]!r}")
            try:
                frame = _frames.decode(text[6:])
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise EngineFailed(f"the engine sent a broken frame: {error}") from error
            if frame.error is not None:
                raise EngineFailed(f"the engine reports {bytes(frame.error)[:500]!r}")
            yield frame


def completion_body(request: SequenceRequest) -> bytes:
    """The body for `/completion`. Every field is ours: nothing that a client wrote is handed on by name."""
    sampling = request.sampling
    body: dict[str, object] = {
        "prompt": request.prompt,
        "n_predict": request.max_tokens,
        "n_cmpl": request.num_sequences,
        # Only a stream is stopped when its connection closes; the server runs anything else to its end.
        "stream": True,
        "return_tokens": True,
        # Signs of life while a long prompt is read, and the count of cached tokens.
        "return_progress": True,
        "response_fields": _LAST_FRAME,
        "cache_prompt": True,
        # Without it every adapter that is loaded would be applied.
        "lora": [],
        "stop": sampling.stop,
        "seed": _seed(sampling.seed),
        # At 0 the server leaves the probabilities out altogether.
        "n_probs": 0 if sampling.logprobs is None else max(1, sampling.logprobs),
        "post_sampling_probs": False,
    }
    return msgspec.json.encode(body | _constraint(request) | _samplers(sampling) | _penalties(request))


def _constraint(request: SequenceRequest) -> dict[str, object]:
    """The grammar under the mark by which the server knows llguidance's own; control tokens that it would hide."""
    grammar = {} if request.grammar is None else {"grammar": "%llguidance {}\n" + request.grammar.lark}
    return {"preserved_tokens": request.markers, **grammar}


def scored(probability: Probability, num_top: int, pieces: Pieces) -> ScoredToken:
    """A token as events carry it, with the `num_top` best."""
    best = probability.top_logprobs[:num_top]
    top = tuple(Alternative(each.id, pieces.piece(each.id), each.logprob) for each in best)
    return ScoredToken(probability.id, pieces.piece(probability.id), probability.logprob, top)


def _seed(seed: int | None) -> int:
    return secrets.randbelow(_RANDOM_SEED) if seed is None else seed % _RANDOM_SEED


def _samplers(sampling: Sampling) -> dict[str, object]:
    """Exactly the samplers that the request asks for: by default the server would also cut at top_k 40 and min_p 0.05."""
    chain = ["penalties"] if sampling.presence_penalty or sampling.frequency_penalty else []
    if sampling.temperature == 0:
        return {"samplers": [*chain, "top_k"], "top_k": 1, "temperature": 0.0}
    chain.append("temperature")
    if sampling.top_p < 1:
        chain.append("top_p")
    return {"samplers": chain, "temperature": sampling.temperature, "top_p": sampling.top_p, "top_k": 0, "min_p": 0.0}


def _penalties(request: SequenceRequest) -> dict[str, object]:
    """Penalties over the generated tokens alone, and the client's own biases.

    The server counts the last `repeat_last_n` tokens, the prompt's among them. The window is made to hold everything,
    and what the prompt's tokens lose by it is given back as a bias: exact for the frequency penalty. The presence
    penalty then leaves those tokens alone that the prompt holds, also once they have been generated.
    """
    sampling = request.sampling
    biases = dict(sampling.logit_bias)
    if sampling.presence_penalty or sampling.frequency_penalty:
        for token_id, count in Counter(request.prompt).items():
            returned = count * sampling.frequency_penalty + sampling.presence_penalty
            if biases.get(token_id, 0.0) > -100:
                biases[token_id] = biases.get(token_id, 0.0) + returned
    return {
        "presence_penalty": sampling.presence_penalty,
        "frequency_penalty": sampling.frequency_penalty,
        "repeat_penalty": 1.0,
        "repeat_last_n": len(request.prompt) + request.max_tokens,
        # `false` is the server's word for never.
        "logit_bias": [[token_id, False if bias <= -100 else bias] for token_id, bias in biases.items()],
    }
