"""A whole Serving on the echo engine, built in a line, with every part that a test may want to look at or slow down."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from parley.core.clock import FakeClock
from parley.core.engine import Engine, Generation
from parley.core.errors import EngineFailed, ModelLoadFailed, ModelNotFound
from parley.core.events import Delta, Event, Finished, FinishReason, ScoredToken, SequenceFinished
from parley.core.hold import Hold
from parley.core.limits import Levels, LimitNeed
from parley.core.picture import Picture, PictureSource
from parley.core.price import FREE, Price
from parley.core.principal import Principal, Scope
from parley.core.requests import (
    ChatMessage,
    ChatPrompt,
    GenerationRequest,
    Grammar,
    Sampling,
    SequenceRequest,
    TextPrompt,
)
from parley.core.snapshot import Capability, EngineKind, Snapshot, Weights
from parley.core.speech import SpeechEngine
from parley.core.template import Role
from parley.core.tokenizer import Segment
from parley.core.usage import Usage, UsageRecord
from parley.domain.billing.service import Billing
from parley.operations.records import Records
from parley.operations.settlements import Settlements
from parley.serving.admission.admit import Admission
from parley.serving.admission.rates import Rates
from parley.serving.engines.echo import EchoEngine
from parley.serving.engines.vision import EchoVision
from parley.serving.media.decoder import MediaDecoder, MediaRules
from parley.serving.metering.settle import Settlement
from parley.serving.prompting.echo_tokenizer import EchoTokenizer
from parley.serving.prompting.prepare import Prompting, Sight
from parley.serving.prompting.templates import TEMPLATES
from parley.serving.prompting.tokenizers import Tokenizers
from parley.serving.run import Run
from parley.serving.scheduling.fair import Tenant
from parley.serving.scheduling.pools import PoolRules, Pools
from parley.serving.serve import Serving

ECHO_WEIGHTS = Weights(
    name="echo", engine=EngineKind.ECHO, path=None, sha256=None, context_length=1_000, template="chatml"
)


def make_snapshot(
    name: str = "echo-1", *, weights: Weights | None = ECHO_WEIGHTS, context: int = 1_000, price: Price = FREE
) -> Snapshot:
    return Snapshot(
        name=name,
        family="echo",
        weights=weights,
        promised_context_length=context,
        capabilities=frozenset({Capability.CHAT, Capability.COMPLETE}),
        price=price,
        created=0,
    )


def tenant(project_id: str, organization_id: str = "") -> Tenant:
    """A project in an organization, by default in one of its own."""
    return Tenant(organization_id or f"org of {project_id}", project_id)


def make_principal(*, allowed_models: frozenset[str] | None = None) -> Principal:
    return Principal(
        organization_id="org_a",
        project_id="proj_a",
        key_id="key_a",
        scopes=frozenset({Scope.ALL}),
        allowed_models=allowed_models,
    )


def chat(text: str, **changes: object) -> GenerationRequest:
    prompt = ChatPrompt(messages=(ChatMessage(role=Role.USER, content=text),))
    return _request("/v1/chat/completions", (prompt,), changes)


def completion(*prompts: str, **changes: object) -> GenerationRequest:
    return _request("/v1/completions", tuple(TextPrompt(text=text) for text in prompts), changes)


def _request(endpoint: str, prompts: tuple, changes: dict[str, object]) -> GenerationRequest:
    sampling = Sampling(**{k: changes.pop(k) for k in ("stop", "logprobs", "seed", "logit_bias") if k in changes})
    fields = {"model": "echo-1", "max_tokens": None, "endpoint": endpoint, "prompts": prompts, "sampling": sampling}
    return GenerationRequest(**(fields | changes))


class FakeCatalog:
    def __init__(self, *snapshots: Snapshot) -> None:
        self._by_name = {snapshot.name: snapshot for snapshot in snapshots}

    def resolve(self, name: str) -> Snapshot:
        if name not in self._by_name:
            raise ModelNotFound(name)
        return self._by_name[name]


@dataclass(kw_only=True)
class Gate:
    """Where a commit stands still until the test opens it; `error` is how it then fails."""

    error: Exception | None = None
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    open: asyncio.Event = field(default_factory=asyncio.Event)

    async def passed(self) -> None:
        """Wait for the gate, and fail as it does."""
        self.reached.set()
        await self.open.wait()
        if self.error is not None:
            raise self.error


@dataclass
class RecordingSink:
    """Keeps what it is told; closes holds as the real one does, before its gate, if it has one."""

    billing: Billing
    records: list[UsageRecord] = field(default_factory=list)
    checkpoints: list[list[UsageRecord]] = field(default_factory=list)
    gate: Gate | None = None

    async def settle(self, hold: Hold, record: UsageRecord) -> None:
        if hold.is_open:
            self.billing.books.close(hold, record.charge_nano)
            if self.gate is not None:
                await self.gate.passed()
            self.records.append(record)

    async def checkpoint(self, running: Sequence[tuple[Hold, UsageRecord]]) -> None:
        self.checkpoints.append([record for _, record in running])

    def cover(self, hold: Hold, nano: int) -> None:
        self.billing.books.cover(hold, nano)

    def release(self, hold: Hold) -> None:
        self.billing.books.release(hold)


class BrokenEngine:
    """Says `num_good` deltas per round, then fails. `score` fails at once."""

    num_slots = 4

    def __init__(self, num_good: int) -> None:
        self._num_good = num_good

    async def generate(self, request: SequenceRequest) -> Generation:
        return ScriptedGeneration([Delta(0, "x", 1) for _ in range(self._num_good)])

    async def score(self, prompt: Sequence[int], *, num_top: int) -> list[ScoredToken]:
        raise EngineFailed("broken on purpose")

    async def abort(self, round_id: str) -> None:
        return


class RankedEngine(BrokenEngine):
    """Sequence k answers with the text `k`, and a log-probability that is best for the last one."""

    async def generate(self, request: SequenceRequest) -> Generation:
        events: list[Event] = []
        for k in range(request.num_sequences):
            events.append(Delta(k, str(k), 1, (ScoredToken(k, b"?", float(k - 10)),)))
            events.append(SequenceFinished(k, FinishReason.STOP))
        return ScriptedGeneration([*events, Finished(Usage(cached_tokens=2))])


class ScriptedGeneration:
    """Tells the events it was made with; where `Finished` is missing it fails as a dead engine does."""

    def __init__(self, events: list[Event]) -> None:
        self._events = iter(events)

    def __aiter__(self) -> "ScriptedGeneration":
        return self

    async def __anext__(self) -> Event:
        event = next(self._events, None)
        if event is None:
            raise EngineFailed("died on purpose")
        return event

    async def aclose(self) -> int:
        return 0


class FakeGrammarCheck:
    """Finds the fault of the first mark that stands in a grammar; everything else is sound."""

    def __init__(self, faults: Mapping[str, str]) -> None:
        self._faults = faults

    async def fault_of(self, grammar: Grammar, *, tenant: str) -> str:
        return next((fault for mark, fault in self._faults.items() if mark in grammar.lark), "")


class FakePictureReader:
    """Decodes nothing: each source is a grey picture, told apart by what was sent for it."""

    async def read(self, sources: Sequence[PictureSource]) -> list[Picture]:
        return [Picture(width=16, height=16, pixels=source.encoded.encode().ljust(768)) for source in sources]


class CountingTokenizer(EchoTokenizer):
    """Counts the texts that it was asked for."""

    num_encoded = 0

    async def encode(self, segments: Sequence[Segment]) -> list[int]:
        self.num_encoded += 1
        return await super().encode(segments)


class FakeLoader:
    """Loads what `make` gives, at once or when `gate` opens; remembers what came and went. `sizes` are bytes by name."""

    def __init__(
        self,
        make: Callable[[Weights], Engine],
        *,
        sizes: Mapping[str, int] | None = None,
        speech: SpeechEngine | None = None,
    ) -> None:
        self._make = make
        self._speech = speech
        self._sizes = sizes or {}
        self.gate = asyncio.Event()
        self.gate.set()
        # The same for what is put out.
        self.exit = asyncio.Event()
        self.exit.set()
        self.loaded: list[str] = []
        self.unloaded: list[str] = []
        self._names: dict[int, str] = {}
        self.failures: list[str] = []

    def num_slots(self, weights: Weights) -> int:
        return (self._speech if weights.is_speech else self._make(weights)).num_slots

    async def memory_bytes(self, weights: Weights) -> int:
        return self._sizes.get(weights.name, 0)

    async def load(self, weights: Weights) -> Engine:
        await self.gate.wait()
        self.loaded.append(weights.name)
        if self.failures:
            raise ModelLoadFailed(self.failures.pop())
        engine = self._make(weights)
        self._names[id(engine)] = weights.name
        return engine

    async def load_speech(self, weights: Weights) -> SpeechEngine:
        self._names[id(self._speech)] = weights.name
        return self._speech

    async def unload(self, engine: Engine | SpeechEngine) -> None:
        await self.exit.wait()
        self.unloaded.append(self._names[id(engine)])


@dataclass
class Bench:
    serving: Serving
    sink: RecordingSink | Settlements
    pools: Pools
    clock: FakeClock
    engine: Engine
    tokenizer: CountingTokenizer
    billing: Billing
    settlement: Settlement
    num_opened: int = 0

    @property
    def pool(self):
        return self.pools.pool_for(ECHO_WEIGHTS)

    async def open(self, request: GenerationRequest, principal: Principal | None = None) -> Run:
        self.num_opened += 1
        return await self.serving.open(
            principal or make_principal(),
            request,
            request_id=f"req_{self.num_opened}",
            received_at=self.clock.monotonic(),
        )

    async def run(self, request: GenerationRequest) -> list[Event]:
        return [event async for event in await self.open(request)]


class Unlimited:
    """Rates that refuse nothing."""

    def admit(self, principal: Principal, *, model: str, family: str, need: LimitNeed) -> "Unlimited":
        """See Rates."""
        return self

    levels = Levels()

    def extend(self, num_tokens: int) -> int:
        """See OpenPermit."""
        return num_tokens

    def give_back(self, num_tokens: int) -> None:
        """See OpenPermit."""

    def extend_audio(self, num_minutes: int, *, least: int) -> int:
        """See OpenPermit."""
        return num_minutes

    def close(self, num_tokens: int = 0, *, audio_minutes: int = 0) -> None:
        """See OpenPermit."""

    def cancel(self) -> None:
        """See OpenPermit."""


def make_bench(
    *,
    engine: Engine | None = None,
    max_waiting: int = 8,
    snapshots: Sequence[Snapshot] = (make_snapshot(),),
    is_metered: bool = False,
    faults: Mapping[str, str] = MappingProxyType({}),
    rates: Rates | None = None,
    records: Records | None = None,
    speech: SpeechEngine | None = None,
    decoder: MediaDecoder | None = None,
) -> Bench:
    """A serving on the echo engine. `is_metered`: the principal of `make_principal` pays, and has nothing yet.

    With `records`, their money, settled into their database, their limits and their clock.
    """
    engine = engine or EchoEngine(num_slots=4)
    if records is None:
        clock = FakeClock()
        billing = Billing(clock, is_metered=is_metered)
        billing.set_first_organization("org_a")
        sink: RecordingSink | Settlements = RecordingSink(billing)
        rates = rates or Unlimited()
    else:
        clock, billing, sink, rates = records.clock, records.billing, records.settlements, records.rates
    settlement = Settlement(sink, clock)

    tokenizer = CountingTokenizer()

    async def start(weights: Weights) -> EchoTokenizer:
        return tokenizer

    loader = FakeLoader(lambda _: engine, speech=speech)
    pools = Pools(loader=loader, rules=PoolRules(max_waiting=max_waiting), clock=clock)
    serving = Serving(
        catalog=FakeCatalog(*snapshots),
        admission=Admission(billing, rates),
        prompting=Prompting(
            tokenizers=Tokenizers(start, clock),
            templates=TEMPLATES,
            grammar_check=FakeGrammarCheck(faults),
            sight=Sight(reader=FakePictureReader(), vision_for=lambda _: EchoVision()),
        ),
        decoder=decoder or MediaDecoder(MediaRules()),
        pools=pools,
        settlement=settlement,
    )
    return Bench(serving, sink, pools, clock, engine, tokenizer, billing, settlement)


def texts(events: list[Event]) -> dict[int, str]:
    """The text of each choice."""
    result: dict[int, str] = {}
    for event in events:
        if isinstance(event, Delta):
            result[event.sequence] = result.get(event.sequence, "") + event.text
    return result
