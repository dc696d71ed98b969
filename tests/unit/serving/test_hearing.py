"""The way of a recording through serving: refusals, holds, records, deaths."""

from dataclasses import replace

import pytest

from parley.core.clock import FakeClock
from parley.core.errors import InvalidRequest, NotFound, RateLimited, RequestQuarantined, UnsupportedParameter
from parley.core.events import Finished
from parley.core.limits import LimitNeed, Limits
from parley.core.price import Price
from parley.core.speech import HeardSegment, Task, TranscriptFinished
from parley.core.usage import Outcome, Usage
from parley.domain.limits.counters import ProcessCounters
from parley.domain.limits.service import RateLimits
from parley.serving.admission.audio import seconds_to_hold
from tests.builders_serving import Bench, make_bench, make_principal, make_snapshot
from tests.builders_speech import SPHINX, FakeDecoder, FakeSpeechEngine, speech_snapshot, texts, transcription

NANO = 100_000
PRICE = Price(version="whisper", audio_second_nano=NANO)


def bench(decoder: FakeDecoder | None = None, engine: FakeSpeechEngine | None = None, **more) -> Bench:
    return make_bench(
        snapshots=[speech_snapshot(price=PRICE), make_snapshot()],
        speech=engine or FakeSpeechEngine(),
        decoder=decoder or FakeDecoder(),
        **more,
    )


async def opened(bench: Bench, request=None, request_id: str = "req_1"):
    return await bench.serving.open_transcription(
        make_principal(), request or transcription(), request_id=request_id, received_at=bench.clock.monotonic()
    )


async def drained(run) -> list:
    try:
        return [event async for event in run]
    finally:
        await run.aclose()


async def test_a_recording_is_told_segment_by_segment_and_charged_by_the_second():
    made = bench(FakeDecoder(seconds=11.4, claimed=11.4))
    events = await drained(await opened(made))
    assert [type(event) for event in events] == [HeardSegment, HeardSegment, TranscriptFinished, Finished]
    assert texts(events) == " part1 part2"
    [record] = made.sink.records
    assert (record.outcome, record.usage, record.charge_nano) == (Outcome.FINISHED, Usage(audio_seconds=11), 11 * NANO)
    assert (record.endpoint, record.weights, record.num_choices) == ("/v1/audio/transcriptions", "sphinx", 1)
    assert events[-1].usage == record.usage
    assert made.billing.books.holds == {}


@pytest.mark.parametrize(
    ("claimed", "num_bytes", "held"),
    [
        (11.2, 1, 12),
        (None, 40_000, 10),
        (float("nan"), 40_000, 10),
        (float("inf"), 40_000, 10),
        (-5.0, 40_000, 10),
        (0.0, 40_000, 10),
        (2.0**32, 44, 14_400),
    ],
)
def test_what_is_held_is_what_the_container_says_else_what_its_size_suggests(claimed, num_bytes, held):
    assert seconds_to_hold(claimed, num_bytes=num_bytes, max_seconds=14_400.0) == held


async def test_the_hold_is_taken_before_anything_is_decoded():
    made = bench(FakeDecoder(claimed=600.0))
    run = await opened(made)
    assert run.grant.hold.amount_nano == 600 * NANO
    await run.aclose()


async def test_a_container_that_says_too_little_is_held_for_while_it_turns_out():
    made = bench(FakeDecoder(seconds=300.0, claimed=1.0))
    await drained(await opened(made))
    assert made.sink.records[0].charge_nano == 300 * NANO


async def test_what_cannot_be_paid_for_is_heard_no_further_and_costs_nothing_when_nothing_was_told():
    decoder = FakeDecoder(seconds=3_600.0, claimed=5.0)
    made = bench(decoder, is_metered=True)
    made.billing.books.add_credit("org_a", 100 * NANO)
    run = await opened(made)
    with pytest.raises(RateLimited) as refusal:
        await drained(run)
    assert refusal.value.kind == "insufficient_quota"
    assert decoder.num_windows <= 11
    assert (decoder.num_open, made.sink.records[0].outcome, made.sink.records[0].charge_nano) == (0, Outcome.FAILED, 0)
    assert made.billing.books.available_nano("org_a") == 100 * NANO


async def test_what_its_container_says_cannot_be_paid_for_is_never_begun():
    decoder = FakeDecoder(claimed=200.0)
    made = bench(decoder, is_metered=True)
    made.billing.books.add_credit("org_a", 100 * NANO)
    with pytest.raises(RateLimited):
        await opened(made)
    assert (decoder.num_windows, made.sink.records) == (0, [])


async def test_a_client_that_leaves_ends_the_decoding_and_pays_for_what_was_worked_through():
    decoder, engine = FakeDecoder(seconds=3_600.0), FakeSpeechEngine()
    made = bench(decoder, engine)
    run = await opened(made, transcription(is_stream=True))
    assert (await anext(run)).text == " part1"
    assert (await anext(run)).text == " part2"
    await run.aclose()
    assert (decoder.num_open, engine.open, decoder.num_windows) == (0, [], 2)
    [record] = made.sink.records
    assert (record.outcome, record.usage.audio_seconds) == (Outcome.ABORTED, 20)


async def test_who_leaves_with_the_text_of_a_passage_pays_for_it_before_the_passage_is_over():
    made = bench(FakeDecoder(seconds=8.0), FakeSpeechEngine(text_ends_late_by=25.0))
    run = await opened(made, transcription(is_stream=True))
    assert (await anext(run)).end == 33.0
    await run.aclose()
    [record] = made.sink.records
    # The text is said to end behind the sound, which is not charged.
    assert (record.outcome, record.charge_nano) == (Outcome.ABORTED, 8 * NANO)


async def test_who_waits_for_a_recording_to_be_heard_is_told_for_what():
    made = bench()
    runs = [await opened(made, transcription(is_stream=True), request_id=f"req_{n}") for n in range(3)]
    assert [run.progress for run in runs] == ["waiting for the first words"] * 2 + ["waiting for a slot"]
    await runs[0].aclose()
    assert runs[2].progress == "waiting for the first words"
    for run in runs:
        await run.aclose()


async def test_a_run_that_nobody_iterates_leaves_one_record_that_costs_nothing():
    made = bench()
    run = await opened(made)
    await run.aclose()
    assert [(each.outcome, each.charge_nano) for each in made.sink.records] == [(Outcome.ABORTED, 0)]


async def test_a_file_that_breaks_off_half_way_is_the_clients_fault_and_costs_nothing():
    made = bench(FakeDecoder(seconds=60.0, broken_after=3))
    with pytest.raises(InvalidRequest):
        await drained(await opened(made))
    assert [(each.outcome, each.charge_nano) for each in made.sink.records] == [(Outcome.FAILED, 0)]


async def test_what_cannot_be_heard_at_all_leaves_no_record():
    made = bench(FakeDecoder(broken_after=0))
    with pytest.raises(InvalidRequest):
        await opened(made)
    assert made.sink.records == []


async def test_a_recording_that_an_engine_died_of_is_refused_at_once_for_a_while():
    engine = FakeSpeechEngine(dies_after=1, lives=1)
    made = bench(FakeDecoder(seconds=30.0), engine)
    with pytest.raises(RequestQuarantined):
        await drained(await opened(made))
    with pytest.raises(RequestQuarantined):
        await opened(made, request_id="req_2")
    assert len(engine.hearings) == 1
    assert [each.charge_nano for each in made.sink.records] == [0]


async def test_nothing_is_told_before_the_end_of_a_reply_that_is_told_as_a_whole():
    made = bench(FakeDecoder(seconds=60.0))
    events = await drained(await opened(made))
    assert texts(events) == "".join(f" part{number}" for number in range(1, 7))


async def test_the_file_is_removed_after_everything_else():
    made = bench()
    run = await opened(made)
    left: list[int] = []

    class Taken:
        def __enter__(self):
            raise AssertionError("it was entered before")

        def __exit__(self, *_):
            left.append(len(made.sink.records))

    run.closes_too(Taken())
    await drained(run)
    assert left == [1]


@pytest.mark.parametrize("limit", [1, 2, 3])
async def test_a_recording_that_is_longer_than_it_said_is_heard_as_far_as_its_limit_allows(limit):
    rates = RateLimits(ProcessCounters(), FakeClock())
    rates._of_projects["proj_a", speech_snapshot().name] = Limits(audio_minutes_per_minute=limit)
    made = bench(FakeDecoder(seconds=130.0, claimed=30.0), rates=rates)
    run = await opened(made)
    if limit == 3:
        await drained(run)
    else:
        with pytest.raises(RateLimited, match=rf"audio minutes per minute: Limit {limit}, Requested {limit + 1}\."):
            await drained(run)
    assert not made.billing.books.holds


async def test_minutes_of_audio_are_taken_from_the_limits_and_what_is_unused_given_back():
    class Rates:
        def __init__(self):
            self.needs, self.closed = [], []
            self.levels = None

        def admit(self, principal, *, model, family, need):
            self.needs.append(need)
            return self

        def close(self, num_tokens=0, *, audio_minutes=0):
            self.closed.append((num_tokens, audio_minutes))

    rates = Rates()
    made = bench(FakeDecoder(seconds=61.0, claimed=600.0), rates=rates)
    await drained(await opened(made))
    assert (rates.needs, rates.closed) == ([LimitNeed(audio_minutes=10)], [(0, 2)])


@pytest.mark.parametrize(
    ("hearing", "param", "code"),
    [
        ({"language": "de"}, "language", "unsupported_value"),
        ({"prompt": "Kennedy"}, "prompt", "unsupported_parameter"),
        ({"temperature": 0.4}, "temperature", "unsupported_parameter"),
    ],
)
async def test_what_the_engine_cannot_take_into_account_is_refused_by_name(hearing, param, code):
    with pytest.raises(UnsupportedParameter) as refusal:
        await opened(bench(), transcription(**hearing))
    assert (refusal.value.param, refusal.value.code) == (param, code)


async def test_a_translation_is_never_sent_to_what_cannot_translate():
    with pytest.raises(InvalidRequest, match="cannot translate") as refusal:
        await opened(bench(), transcription(task=Task.TRANSLATE))
    assert (refusal.value.param, refusal.value.code) == ("model", "model_not_supported")


async def test_a_translation_goes_to_what_translates_in_the_place_of_what_hears():
    able = replace(SPHINX, name="able", speech=replace(SPHINX.speech, can_translate=True))
    snapshot = replace(speech_snapshot(can_translate=True), translating_weights=able)
    made = make_bench(snapshots=[snapshot], speech=FakeSpeechEngine(), decoder=FakeDecoder())
    for task, weights in ((Task.TRANSLATE, "able"), (Task.TRANSCRIBE, "sphinx")):
        run = await opened(made, transcription(task=task), request_id=f"req_{task}")
        await drained(run)
        assert run.grant.weights.name == weights


async def test_a_model_that_chats_does_not_hear():
    with pytest.raises(NotFound):
        await opened(bench(), replace(transcription(), model="echo-1"))
