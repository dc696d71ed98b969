"""What is asked? Prompts become the served model's token ids, counted exactly, before any weights are touched."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from msgspec.structs import replace

from parley.core.errors import ContextLengthExceeded, InvalidRequest, UnsupportedParameter
from parley.core.grant import PreparedPrompt
from parley.core.picture import Picture, PictureSource, PlacedPicture, Vision, place
from parley.core.requests import ChatPrompt, GenerationRequest, Prompt, TextPrompt
from parley.core.snapshot import Snapshot, Weights
from parley.core.template import ChatTemplate
from parley.core.tokenizer import Segment, Tokenizer, Vocabulary
from parley.serving.prompting.constrain import Constraints
from parley.serving.prompting.grammar import markers
from parley.serving.prompting.grammar_check import GrammarCheck
from parley.serving.prompting.pictures import PictureReader
from parley.serving.prompting.reading import Reader, readers_of
from parley.serving.prompting.render import Piece, render
from parley.serving.prompting.tokenizers import Tokenizers
from parley.serving.prompting.untokenized import prepare_untokenized


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What pictures need: who decodes them, and what sees for some weights that have a projector."""

    reader: PictureReader
    vision_for: Callable[[Weights], Vision]


class Prompting:
    """`templates` are looked up by the weights' template name."""

    def __init__(
        self,
        *,
        tokenizers: Tokenizers,
        templates: Mapping[str, ChatTemplate],
        grammar_check: GrammarCheck,
        sight: Sight,
    ) -> None:
        self._tokenizers = tokenizers
        self._templates = templates
        self._sight = sight
        self._constraints = Constraints(grammar_check)

    async def prepare(
        self,
        request: GenerationRequest,
        snapshot: Snapshot,
        weights: Weights,
        *,
        tenant: str,
        accept: Callable[[PreparedPrompt], None],
    ) -> None:
        """Hand each prompt's token ids to `accept`, in order and one at a time: where it finds one too long, and raises, the
        rest is not read.

        Raises InvalidRequest for token ids or biases outside the vocabulary, for schemas that cannot be enforced and for
        what is no picture, UnsupportedParameter for a suffix that the model cannot fill and for tools, constraints or
        pictures that it cannot have,
        ContextLengthExceeded for a text that no tokenisation could make fit. Prompts that an upstream tokenises have no
        ids, and an estimate of their length.
        """
        _refuse_unseen(request, snapshot, weights)
        if not weights.is_tokenized_here:
            for prompt in request.prompts:
                await self._try_pictures(prompt)
                accept(prepare_untokenized(request, prompt, snapshot))
            return
        tokenizer = await self._tokenizers.tokenizer_for(weights)
        _check_bias(request, tokenizer.vocabulary, snapshot)
        template = self._templates[weights.template]
        for prompt in request.prompts:
            if isinstance(prompt, ChatPrompt):
                self._constraints.refuse_unsupported(prompt, template, snapshot, weights)
                prepared = await self._prepare_chat(prompt, tokenizer, snapshot, weights)
                grammar = await self._constraints.grammar_of(
                    prompt, template, tokenizer.vocabulary, weights, tenant=tenant
                )
                accept(prepared if grammar is None else replace(prepared, grammar=grammar))
            else:
                accept(await self._prepare_text(prompt, tokenizer, snapshot))

    async def _prepare_chat(
        self, prompt: ChatPrompt, tokenizer: Tokenizer, snapshot: Snapshot, weights: Weights
    ) -> PreparedPrompt:
        template = self._templates[weights.template]
        pieces = render(template, prompt)
        segments = [piece for piece in pieces if isinstance(piece, Segment)]
        _check_length(segments, tokenizer.vocabulary, snapshot, is_chat=True)
        sources = [piece for piece in pieces if isinstance(piece, PictureSource)]
        pictures = await self._sight.reader.read(sources) if sources else []
        cells, placed = await self._place(pieces, pictures, tokenizer, weights)
        return PreparedPrompt(
            token_ids=cells,
            pictures=placed,
            markers=markers(template, tokenizer.vocabulary, has_tools=prompt.tools is not None),
        )

    async def _try_pictures(self, prompt: Prompt) -> None:
        """Decode what a server will be given: nothing that is no picture, or too large, or too many, reaches it."""
        if isinstance(prompt, ChatPrompt):
            sources = [inset.source for message in prompt.messages for inset in message.pictures]
            if sources:
                await self._sight.reader.read(sources)

    async def _place(
        self, pieces: Sequence[Piece], pictures: Sequence[Picture], tokenizer: Tokenizer, weights: Weights
    ) -> tuple[tuple[int, ...], tuple[PlacedPicture, ...]]:
        """The cells of texts and pictures, one after another, and where the pictures are among them."""
        if not pictures:
            return tuple(await tokenizer.encode([piece for piece in pieces if isinstance(piece, Segment)])), ()
        cells: list[int] = []
        placed: list[PlacedPicture] = []
        seen = iter(pictures)
        for is_text, group in groupby(pieces, lambda piece: isinstance(piece, Segment)):
            if is_text:
                cells += await tokenizer.encode([piece for piece in group if isinstance(piece, Segment)])
                continue
            for _ in group:
                picture = next(seen)
                layout = await self._sight.vision_for(weights).lay_out(picture.width, picture.height)
                its_cells, where = place(picture, layout, start=len(cells))
                cells += its_cells
                placed.append(where)
        return tuple(cells), tuple(placed)

    async def _prepare_text(self, prompt: TextPrompt, tokenizer: Tokenizer, snapshot: Snapshot) -> PreparedPrompt:
        vocabulary = tokenizer.vocabulary
        if prompt.token_ids is not None:
            _check_token_ids(prompt.token_ids, vocabulary, snapshot)
            text_ids = prompt.token_ids
        else:
            segments = [Segment(prompt.text or "", is_control=False)]
            _check_length(segments, vocabulary, snapshot, is_chat=False)
            text_ids = tuple(await tokenizer.encode(segments))
        if prompt.suffix is not None:
            return PreparedPrompt(token_ids=await _fill_in_the_middle(prompt, text_ids, tokenizer, snapshot))
        starts_with_bos = text_ids[: len(vocabulary.bos)] == vocabulary.bos
        opening = () if vocabulary.bos and starts_with_bos else vocabulary.bos
        token_ids = opening + text_ids or _document_start(vocabulary)
        return PreparedPrompt(token_ids=token_ids, echo_ids=text_ids)

    def stop_texts(self, weights: Weights, prompt: Prompt) -> tuple[str, ...]:
        """Texts that end a turn in the weights' template, for models that have no token for it."""
        if not weights.is_tokenized_here:
            return ()
        return self._templates[weights.template].stop if isinstance(prompt, ChatPrompt) else ()

    def readers(self, weights: Weights, request: GenerationRequest) -> list[Reader]:
        """A reader of each choice; none where every answer is plain text, and there is nothing to read in it."""
        if not weights.is_tokenized_here:
            # Its server reads calls, and holds answers to a form, in its own way.
            return []
        return readers_of(request, self._templates[weights.template])

    async def pieces(self, weights: Weights, token_ids: Sequence[int]) -> list[bytes]:
        """The bytes of each token."""
        tokenizer = await self._tokenizers.tokenizer_for(weights)
        return await tokenizer.pieces(token_ids)


def _refuse_unseen(request: GenerationRequest, snapshot: Snapshot, weights: Weights) -> None:
    """Refuse, by name and before anything is decoded, pictures for a model that does not see."""
    if weights.has_vision:
        return
    for prompt in request.prompts:
        if not isinstance(prompt, ChatPrompt):
            continue
        for source in (inset.source for message in prompt.messages for inset in message.pictures):
            raise UnsupportedParameter(
                f"Unsupported parameter: '{source.param}'. The model `{snapshot.name}` does not take images.",
                param=source.param,
            )


async def _fill_in_the_middle(
    prompt: TextPrompt, text_ids: tuple[int, ...], tokenizer: Tokenizer, snapshot: Snapshot
) -> tuple[int, ...]:
    fim = tokenizer.vocabulary.fim
    if fim is None:
        raise UnsupportedParameter(
            f"Unsupported parameter: 'suffix' is not supported with the model `{snapshot.name}`, "
            "which cannot fill in the middle.",
            param="suffix",
        )
    prefix, suffix, middle = fim
    segments = [Segment(prompt.suffix or "", is_control=False)]
    _check_length(segments, tokenizer.vocabulary, snapshot, is_chat=False)
    suffix_ids = tuple(await tokenizer.encode(segments))
    return (prefix, *text_ids, suffix, *suffix_ids, middle)


def _document_start(vocabulary: Vocabulary) -> tuple[int, ...]:
    """What stands for an empty prompt: OpenAI's is the end-of-text token, from which a new document begins."""
    end_of_text = vocabulary.special_tokens.get("<|endoftext|>")
    if end_of_text is not None:
        return (end_of_text,)
    return (min(vocabulary.end_of_generation, default=0),)


def _check_length(segments: Sequence[Segment], vocabulary: Vocabulary, snapshot: Snapshot, *, is_chat: bool) -> None:
    """Refuse, without tokenising it, content of more bytes than a full window of the longest tokens.

    Scaffolding is left out: the text of a special token may be longer than the longest token of the vocabulary's texts.
    """
    num_bytes = sum(len(segment.text.encode()) for segment in segments if not segment.is_control)
    limit = snapshot.context_length * vocabulary.longest_token_bytes
    if num_bytes <= limit:
        return
    at_least = -(-num_bytes // vocabulary.longest_token_bytes)
    opening = f"This model's maximum context length is {snapshot.context_length} tokens"
    if is_chat:
        raise ContextLengthExceeded(
            f"{opening}. However, your messages resulted in at least {at_least} tokens. "
            "Please reduce the length of the messages.",
            param="messages",
            code="context_length_exceeded",
        )
    raise ContextLengthExceeded(
        f"{opening}, however you requested at least {at_least} tokens in your prompt. "
        "Please reduce your prompt; or completion length."
    )


def _check_token_ids(token_ids: Sequence[int], vocabulary: Vocabulary, snapshot: Snapshot) -> None:
    # Not one by one: a request may have two million.
    for token_id in (min(token_ids, default=0), max(token_ids, default=0)):
        if not 0 <= token_id < vocabulary.num_tokens:
            raise InvalidRequest(
                f"Invalid token id {token_id} in 'prompt': the vocabulary of `{snapshot.name}` here has "
                f"{vocabulary.num_tokens} tokens, numbered from 0.",
                param="prompt",
                code="invalid_value",
            )


def _check_bias(request: GenerationRequest, vocabulary: Vocabulary, snapshot: Snapshot) -> None:
    for token_id in request.sampling.logit_bias:
        if not 0 <= token_id < vocabulary.num_tokens:
            raise InvalidRequest(
                f"Invalid key in 'logit_bias': {token_id}. The vocabulary of `{snapshot.name}` here has "
                f"{vocabulary.num_tokens} tokens, numbered from 0.",
                param="logit_bias",
                code="invalid_value",
            )
