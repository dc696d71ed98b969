"""`POST /v1/audio/transcriptions` and `/v1/audio/translations`: a recording, answered with what is said in it."""

from contextlib import ExitStack

from starlette.types import ASGIApp

from parley.api.call import Call
from parley.api.openai.audio_fields import TRANSCRIPTION_FIELDS, TRANSLATION_FIELDS, AudioFields, read_fields
from parley.api.openai.opening import reply_headers, tell_refusal
from parley.api.openai.transcripts import TranscriptFrames, gather, reply
from parley.api.reception import reception_of
from parley.api.stream import EventStream, collect
from parley.core.errors import ParleyError
from parley.core.speech import Hearing, Task, TranscriptEvent, TranscriptionRequest

_ENDPOINTS = {Task.TRANSCRIBE: "/v1/audio/transcriptions", Task.TRANSLATE: "/v1/audio/translations"}


def to_core(fields: AudioFields, task: Task) -> TranscriptionRequest:
    """The engine-neutral request."""
    return TranscriptionRequest(
        model=fields.model,
        endpoint=_ENDPOINTS[task],
        recording=fields.recording,
        hearing=Hearing(
            task=task,
            language=fields.language,
            prompt=fields.prompt,
            temperature=fields.temperature,
            has_words="word" in fields.granularities,
        ),
        is_stream=fields.is_stream,
    )


async def create_transcription(call: Call) -> ASGIApp:
    """Write down what is said in a recording."""
    return await _hear(call, Task.TRANSCRIBE)


async def create_translation(call: Call) -> ASGIApp:
    """Write down in English what is said in a recording."""
    return await _hear(call, Task.TRANSLATE)


async def _hear(call: Call, task: Task) -> ASGIApp:
    """The upload is removed when the Run is closed, whoever closes it, or here where there is none."""
    forms = call.services.forms
    if forms is None:
        raise RuntimeError("there is nowhere to keep an uploaded file")
    with ExitStack() as uploaded:
        form = await forms.read(call.http, uploaded)
        fields = read_fields(form, TRANSCRIPTION_FIELDS if task is Task.TRANSCRIBE else TRANSLATION_FIELDS)
        try:
            run = await call.services.serving.open_transcription(
                call.current_principal(),
                to_core(fields, task),
                request_id=call.request_id,
                received_at=call.received_at,
                claim=call.claim,
            )
        except ParleyError as refusal:
            tell_refusal(call, fields.model, refusal)
            raise
        # From here on it is the Run's; nothing is awaited between the opening and this.
        run.closes_too(uploaded.pop_all())
    reception_of(call.http.scope).levels = run.grant.levels
    headers = reply_headers(run.grant)
    if fields.is_stream:
        return EventStream[TranscriptEvent](run, TranscriptFrames(), headers)
    # Subtitles and plain text are not kept.
    is_kept = call.claim is not None and fields.response_format in {"json", "verbose_json"}
    return reply(gather(await collect(run, call.http, is_kept=is_kept)), fields, task, headers)
