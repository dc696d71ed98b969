"""A Run's events as server-sent events, in the shapes of chat and of completions.

A stream is many small chunks that differ in a few characters. What a choice's chunks have in common is encoded once,
so that a piece of text costs one lookup, the encoding of the text and a join.
"""

from collections.abc import Sequence

import msgspec

from parley.api.openai.choices import CallForm, finish_reason, wire_usage
from parley.api.openai.logprobs import CompletionScores, chat_logprobs
from parley.api.openai.opening import Head
from parley.core.events import CallDelta, CallStarted, Delta, Finished, RefusalDelta, RunEvent, SequenceFinished
from parley.core.usage import Usage

_encode = msgspec.json.encode
_DONE = b"data: [DONE]\n\n"
# Line ends to `str.splitlines`, which some clients cut a stream with; JSON has an escape for each.
_LINE_ENDS = ((b"\xc2\x85", b"\\u0085"), (b"\xe2\x80\xa8", b"\\u2028"), (b"\xe2\x80\xa9", b"\\u2029"))


class ChatFrames:
    """Renders one chat stream, event by event; b"" where an event has nothing to say yet."""

    def __init__(self, head: Head, *, num_top: int | None, include_usage: bool, form: CallForm) -> None:
        """`num_top` is None where no log-probabilities were asked for."""
        self._shell = _Shell(head, kind="chat.completion.chunk", include_usage=include_usage)
        self._num_top = num_top
        self._form = form
        self._before_text: dict[int, bytes] = {}
        self._after_text = b'},"logprobs":null,"finish_reason":null}' + self._shell.after

    def __call__(self, event: RunEvent) -> bytes:
        if isinstance(event, Delta):
            return self._text(event)
        if isinstance(event, (CallStarted, CallDelta)):
            # A choice that begins with a call has no content at all; nor has one that refuses.
            return self._opening(event.sequence, b"null") + self._call(event)
        if isinstance(event, RefusalDelta):
            return self._opening(event.sequence, b"null") + self._shell.around(
                b'{"index":%d,"delta":{"refusal":%b},"logprobs":null,"finish_reason":null}'
                % (event.sequence, _text(event.text))
            )
        if isinstance(event, SequenceFinished):
            reason = finish_reason(event.finish_reason, self._form)
            return self._opening(event.sequence, b'""') + self._shell.around(
                b'{"index":%d,"delta":{},"logprobs":null,"finish_reason":"%b"}' % (event.sequence, reason.encode())
            )
        return self._shell.end(event.usage)

    def _text(self, event: Delta) -> bytes:
        if not event.text and (not event.tokens or self._num_top is None):
            # Tokens of a call, a thought or half a character: whether there will be content is not known yet.
            return b""
        opening = self._opening(event.sequence, b'""')
        before = self._before_text[event.sequence]
        if event.tokens and self._num_top is not None:
            scores = one_line(_encode(chat_logprobs(event.tokens, self._num_top)))
            after = b'},"logprobs":%b,"finish_reason":null}%b' % (scores, self._shell.after)
            return opening + before + _text(event.text) + after
        return opening + before + _text(event.text) + self._after_text

    def _call(self, event: CallStarted | CallDelta) -> bytes:
        """A piece of a call: its name first, with empty arguments, then the arguments bit by bit."""
        if isinstance(event, CallStarted):
            function = b'{"name":%b,"arguments":""}' % _text(event.name)
            head = b'"index":%d,"id":%b,"type":"function",' % (event.call, _text(event.call_id))
        else:
            function = b'{"arguments":%b}' % _text(event.arguments)
            head = b'"index":%d,' % event.call
        delta = b'"function_call":%b' % function
        if not self._form.is_2023:
            delta = b'"tool_calls":[{%b"function":%b}]' % (head, function)
        return self._shell.around(
            b'{"index":%d,"delta":{%b},"logprobs":null,"finish_reason":null}' % (event.sequence, delta)
        )

    def _opening(self, index: int, content: bytes) -> bytes:
        """A choice's first chunk, which says the role; nothing where it was sent before."""
        if index in self._before_text:
            return b""
        self._before_text[index] = self._shell.before + b'{"index":%d,"delta":{"content":' % index
        return self._shell.around(
            b'{"index":%d,"delta":{"role":"assistant","content":%b,"refusal":null},"logprobs":null,"finish_reason":null}'
            % (index, content)
        )


class CompletionFrames:
    """Renders one completions stream, event by event; b"" where an event has nothing to say yet."""

    def __init__(self, head: Head, *, scores: Sequence[CompletionScores] | None, include_usage: bool) -> None:
        """`scores` has one entry per choice, or is None where no log-probabilities were asked for."""
        self._shell = _Shell(head, kind="text_completion", include_usage=include_usage)
        self._scores = scores
        self._after_text: dict[int, bytes] = {}
        self._before_text = self._shell.before + b'{"text":'

    def __call__(self, event: RunEvent) -> bytes:
        if isinstance(event, Delta):
            if event.tokens and self._scores is not None:
                scores = one_line(_encode(self._scores[event.sequence].of(event.tokens)))
                return self._chunk(_text(event.text), event.sequence, scores, b"null")
            if not event.text:
                return b""
            after = self._after_text.get(event.sequence)
            if after is None:
                after = b',"index":%d,"logprobs":null,"finish_reason":null}' % event.sequence + self._shell.after
                self._after_text[event.sequence] = after
            return self._before_text + _text(event.text) + after
        if isinstance(event, SequenceFinished):
            return self._chunk(b'""', event.sequence, b"null", b'"%b"' % event.finish_reason.encode())
        # Nothing is called or refused in raw text, so that all that is left is the end.
        return self._shell.end(event.usage) if isinstance(event, Finished) else b""

    def _chunk(self, text: bytes, index: int, scores: bytes, finish_reason: bytes) -> bytes:
        return self._shell.around(
            b'{"text":%b,"index":%d,"logprobs":%b,"finish_reason":%b}' % (text, index, scores, finish_reason)
        )


class _Shell:
    """What stands around the choices in every chunk of one stream."""

    def __init__(self, head: Head, *, kind: str, include_usage: bool) -> None:
        tier = b"" if head.service_tier is None else b'"service_tier":%b,' % _text(head.service_tier)
        self.before = b'data: {"id":%b,"object":"%b","created":%d,"model":%b,%b"system_fingerprint":%b,"choices":[' % (
            _text(head.id),
            kind.encode(),
            head.created,
            _text(head.model),
            tier,
            _text(head.system_fingerprint),
        )
        self.after = b'],"usage":null}\n\n' if include_usage else b"]}\n\n"
        self._include_usage = include_usage

    def around(self, choice: bytes) -> bytes:
        """A whole chunk with one choice."""
        return self.before + choice + self.after

    def end(self, usage: Usage) -> bytes:
        """The last frames: the usage, where it was asked for, in a chunk without choices, and the mark of a whole stream."""
        if not self._include_usage:
            return _DONE
        return b'%b],"usage":%b}\n\n%b' % (self.before, _encode(wire_usage(usage)), _DONE)


def _text(text: str) -> bytes:
    """A string as JSON that is one line to everybody."""
    encoded = _encode(text)
    return encoded if text.isascii() else one_line(encoded)


def one_line(encoded: bytes) -> bytes:
    """JSON that is one line to everybody."""
    for line_end, escape in _LINE_ENDS:
        encoded = encoded.replace(line_end, escape)
    return encoded
