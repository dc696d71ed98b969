"""Runs one transcription: samples from the decoder into an engine of the pool, and what it says of them out again."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

from parley.core.errors import EngineDied, EngineFailed, RequestQuarantined
from parley.core.grant import TranscriptionGrant
from parley.core.ids import new_id
from parley.core.speech import (
    BYTES_PER_SECOND,
    Heard,
    HeardSegment,
    HearingEvent,
    SpeechEngine,
    TranscriptEvent,
    TranscriptFinished,
)
from parley.serving.admission.audio import AudioAllowance
from parley.serving.closing import Closing
from parley.serving.media.decoder import MediaDecoder
from parley.serving.metering.meter import Meter
from parley.serving.places import Places
from parley.serving.scheduling.casualties import Patient, fingerprint
from parley.serving.scheduling.pool import Pool


@dataclass(frozen=True, slots=True, kw_only=True)
class HearingParts:
    """What a transcription is made with."""

    pool: Pool[SpeechEngine]
    decoder: MediaDecoder
    meter: Meter
    allowance: AudioAllowance


class HearingWork:
    """Takes its place in the queue at once (raises Overloaded) and everything else when it is iterated.

    A transcription whose engine died is run again, once, where nothing of it was told yet. Raises RequestQuarantined where
    an engine died of such a request a while ago. Whatever it opens is left to `closing`, whose owner closes it.
    """

    def __init__(self, grant: TranscriptionGrant, parts: HearingParts, closing: Closing) -> None:
        self._grant = grant
        self._pool = parts.pool
        self._decoder = parts.decoder
        self._meter = parts.meter
        self._allowance = parts.allowance
        self._closing = closing
        casualties = self._pool.casualties
        if casualties.is_watchful and casualties.is_quarantined(self._fingerprint()):
            raise RequestQuarantined("an engine died of such a recording in the last ten minutes")
        self._places = Places(
            self._pool,
            grant.principal,
            self._meter,
            closing,
            num_slots=1,
            what="recording",
        )

    @property
    def progress(self) -> str:
        """What there is to say to whoever waits for the first event."""
        return self._places.progress("the first words")

    async def events(self) -> AsyncGenerator[TranscriptEvent, None]:
        """Segments as they are heard (of a reply that is told as a whole, at its end), then the language and the length."""
        ticket, patient = self._places.take(1), Patient(round_id="", identify=self._fingerprint)
        is_told_at_once = self._grant.request.is_stream
        held: list[TranscriptEvent] = []
        while True:
            engine = await self._places.engine(ticket)
            try:
                with self._pool.casualties.watched(patient):
                    async with aclosing(self._heard(engine, patient)) as heard:
                        async for event in heard:
                            if is_told_at_once:
                                patient.is_told = True
                                self._meter.told()
                                yield event
                            else:
                                held.append(event)
                break
            except EngineDied as death:
                ticket = self._places.after(death, patient, ticket)
                held.clear()
        self._pool.casualties.acquit(patient)
        ticket.release()
        for event in held:
            self._meter.told()
            yield event

    async def _heard(self, engine: SpeechEngine, patient: Patient) -> AsyncGenerator[TranscriptEvent, None]:
        """One pass over the recording: fed as far ahead as the engine wants it, no further."""
        patient.round_id = new_id("round_")
        transcription = await engine.transcribe(patient.round_id, self._grant.request.hearing)
        self._closing.push_async(transcription.aclose)
        num_bytes = 0
        async with aclosing(transcription), aclosing(self._decoder.decode(self._grant.request.recording)) as windows:
            async for samples in windows:
                num_bytes += len(samples)
                self._allowance.cover(num_bytes / BYTES_PER_SECOND)
                await transcription.feed(samples)
                while transcription.is_behind:
                    if (told := self._noted(await anext(transcription), patient, num_bytes)) is not None:
                        yield told
            await transcription.feed_end()
            async for event in transcription:
                if (told := self._noted(event, patient, num_bytes)) is not None:
                    yield told
                if isinstance(told, TranscriptFinished):
                    return
        raise EngineFailed("the engine's events ended without TranscriptFinished")

    def _noted(self, event: HearingEvent, patient: Patient, num_fed_bytes: int) -> TranscriptEvent | None:
        """The event as far as it is told; what it means for the bill is noted."""
        match event:
            case HeardSegment():
                patient.has_output = True
                # Whoever has its text and leaves has had so much heard, though an engine says `Heard` of whole passages only. Whisper
                # may let a text end behind the sound.
                self._meter.heard(min(event.end, num_fed_bytes / BYTES_PER_SECOND))
            case Heard(seconds):
                self._meter.heard(seconds)
                return None
            case TranscriptFinished():
                self._meter.heard(event.seconds)
        return event

    def _fingerprint(self) -> str:
        request = self._grant.request
        return fingerprint((request.recording.sha256,), request.hearing)
