"""The composition root: settings -> records -> stages -> routes -> server. The only module that knows all concrete classes."""

import asyncio
import contextlib
import gc
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from starlette.types import ASGIApp

from parley.api.call import Platform, Services
from parley.api.connections import ConnectionRules
from parley.api.form import FormReader
from parley.api.guard import GuardLimits
from parley.api.listener import open_listener
from parley.api.open_requests import OpenRequests
from parley.api.platform.control import ControlServer
from parley.api.repeats import Repeats
from parley.api.routes import route_table
from parley.api.server import HttpServer, ServerTimes
from parley.api.stack import EdgeRules, build_stack
from parley.core.clock import Clock, SystemClock
from parley.core.llama_library import library_identity
from parley.core.principal import Caller
from parley.core.residency import Residency
from parley.core.snapshot import EngineKind, Weights
from parley.domain.accounts.passwords import Passwords
from parley.infra.leftovers import end_leftovers
from parley.infra.memory import memory_budget_bytes
from parley.infra.metrics import Metrics
from parley.infra.settings import Settings, server_url
from parley.infra.uploads import Uploads
from parley.operations.clock_watch import ClockWatch
from parley.operations.first_start import ensure_owner
from parley.operations.front_door import FrontDoor, SignUpRules
from parley.operations.last_used import following
from parley.operations.organizations import warn_of_unknown_tiers
from parley.operations.owner_key import warn_of_unknown_owner_key
from parley.operations.rate_limits import levels_of
from parley.operations.readings import watch_pools, watch_records
from parley.operations.reconcile import Reconciler
from parley.operations.records import Records, open_records
from parley.runtimes import ENGINES, EngineFactory, Runtimes
from parley.serving.admission.admit import Admission
from parley.serving.media.decoder import MediaDecoder, MediaRules
from parley.serving.metering.counted import CountedSettlements
from parley.serving.metering.settle import Settlement
from parley.serving.prompting.prepare import Prompting, Sight
from parley.serving.prompting.templates import TEMPLATES
from parley.serving.prompting.tokenizers import Tokenizers
from parley.serving.scheduling.pools import PoolRules, Pools
from parley.serving.serve import Serving
from parley.web.door import DoorPage
from parley.web.landing import LandingPage

# Some twenty small chats at once have so many; Python's own figure, 700, had the collector look through them for nothing.
_OBJECTS_PER_COLLECTION = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """What there is to say when the first model answers. `owner_key` is set at the first start only."""

    url: str
    weights: Weights
    owner_key: str | None
    owner_key_path: Path


class Application:
    """The stages and the HTTP stack, built around open records."""

    def __init__(
        self, settings: Settings, records: Records, runtimes: Runtimes, clock: Clock, platform: Platform
    ) -> None:
        self._catalog = records.catalog
        self._database = records.database
        rules = PoolRules(
            max_waiting=settings.max_waiting,
            memory_budget_bytes=memory_budget_bytes(settings.memory_budget_mib),
            keep_alive_seconds=settings.keep_alive_seconds,
        )
        self.pools = Pools(loader=runtimes, rules=rules, clock=clock)
        self._has_started = False
        self._tokenizers = Tokenizers(runtimes.start_tokenizer, clock)
        self.open_requests = OpenRequests()
        self.metrics = Metrics()
        watch_pools(self.metrics, self.pools.report)
        self.metrics.gauge("parley_http_requests_open", "Requests that are being answered.", self.open_requests.__len__)
        self.settlement = Settlement(CountedSettlements(records.settlements, self.metrics.settled), clock)
        serving = Serving(
            catalog=records.catalog,
            admission=Admission(records.billing, records.rates, records.check_room),
            prompting=Prompting(
                tokenizers=self._tokenizers,
                templates=TEMPLATES,
                grammar_check=runtimes.grammar_check,
                sight=Sight(reader=runtimes.picture_reader, vision_for=runtimes.vision_for),
            ),
            decoder=MediaDecoder(MediaRules(max_seconds=settings.max_audio_seconds)),
            pools=self.pools,
            settlement=self.settlement,
        )
        max_upload_bytes = settings.max_upload_mib << 20
        uploads = Uploads(records.folder.uploads_path, records.storage)
        self.asgi: ASGIApp = build_stack(
            routes=route_table(is_ready=self.is_ready, page=LandingPage(), door=DoorPage()),
            services=Services(
                llama_identity=library_identity(settings.llama_build),
                serving=serving,
                catalog=records.catalog,
                clock=clock,
                platform=platform,
                repeats=Repeats(records.replies),
                forms=FormReader(uploads.sweep(), max_file_bytes=max_upload_bytes),
                metrics=self.metrics,
                levels_of=partial(levels_of, records),
            ),
            keys=records.keys,
            open_requests=self.open_requests,
            rules=EdgeRules(
                cors_origins=settings.cors_origins,
                trusted_proxies=settings.proxy_networks,
                limits=GuardLimits(
                    max_chat_bytes=settings.max_chat_mib << 20,
                    max_upload_bytes=max_upload_bytes,
                    large_bytes=settings.image_memory_mib << 19,
                ),
            ),
        )

    async def warm_up(self) -> Weights:
        """Load the default weights, which are returned. Raises ModelLoadFailed or CatalogError."""
        weights = self._catalog.default_weights
        await self._tokenizers.tokenizer_for(weights)
        await self.pools.pool_for(weights).load()
        self._has_started = True
        return weights

    def has_in_memory(self, weights: Weights) -> bool:
        """Whether an engine may have these weights."""
        return self.pools.holds(weights)

    async def is_ready(self) -> bool:
        """Whether work is taken: the default weights could be loaded, and are not given up (evicted ones are loaded again);
        what is in memory generates; and the database answers.
        """
        if not (self.open_requests.is_accepting and self._has_started) or self._database.is_stalled:
            return False
        default = self.pools.pool_for(self._catalog.default_weights)
        return default.residency is not Residency.UNAVAILABLE and await self.pools.all_generate()


async def serve(
    settings: Settings,
    *,
    on_step: Callable[[str], None],
    on_ready: Callable[[Started], None],
    engines: Mapping[EngineKind, EngineFactory] = ENGINES,
) -> None:
    """Serve until a signal. `on_step` is told what is being waited for, `on_ready` once, when the first model answers.
    `engines` says which program runs which kind of weights.

    Raises AddressUnusable, DataFolderError, DatabaseRefused, CatalogError or ModelLoadFailed when it cannot start, and
    DatabaseFailed when records can no longer be kept; each is one line for the operator.
    """
    clock = SystemClock()
    async with AsyncExitStack() as stack:
        # The port comes first: a busy one leaves no trace on disk.
        listener = stack.enter_context(contextlib.closing(open_listener(settings.host, settings.port)))
        url = server_url(settings.host, listener.getsockname()[1])
        on_step("opening the data folder")
        records = await stack.enter_async_context(open_records(settings, clock))
        clock_watch = ClockWatch(records)
        await asyncio.to_thread(end_leftovers, settings.data)
        bootstrap_key = settings.bootstrap_key
        owner_key = await ensure_owner(records, bootstrap_key.get_secret_value() if bootstrap_key else None)
        await warn_of_unknown_owner_key(records)
        await warn_of_unknown_tiers(records)
        runtimes = await stack.enter_async_context(Runtimes(settings, records.catalog_files, clock, engines=engines))
        platform = Platform(
            records=records,
            front_door=FrontDoor(records, Passwords(), SignUpRules.of(settings, url), clock),
            last_used=await stack.enter_async_context(following(records)),
        )
        application = Application(settings, records, runtimes, clock, platform)
        # A key that is revoked, on the writer's thread, takes what runs with it.
        loop, open_requests = asyncio.get_running_loop(), application.open_requests
        records.keys.watch(lambda callers: _tell(loop, open_requests.end_those_of, callers))
        await stack.enter_async_context(application.pools)
        times = ServerTimes(drain_seconds=settings.drain_seconds)
        http = HttpServer(
            application.asgi,
            listener,
            open_requests=application.open_requests,
            times=times,
            rules=ConnectionRules(
                max_per_address=settings.max_connections_per_address, proxies=settings.proxy_networks
            ),
        )
        public_url = platform.front_door.rules.public_url
        control = ControlServer(records, url=url, public_url=public_url, in_use=application.has_in_memory)
        await stack.enter_async_context(control)

        async def start() -> None:
            on_step(f"loading {records.catalog.default_weights.name}")
            weights = await application.warm_up()
            # What was loaded stays for good; looking through it again took a sixth of the loop's time under load.
            gc.collect()
            gc.freeze()
            # What runs is no garbage, and leaves none that only the collector would find.
            gc.set_threshold(_OBJECTS_PER_COLLECTION)
            path = records.folder.owner_key_path
            on_ready(Started(url=url, weights=weights, owner_key=owner_key, owner_key_path=path))

        reconciler = Reconciler(
            records.database, records.billing, records.replies, records.audit, clock, check_room=records.check_room
        )
        watch_records(application.metrics, records, reconciler)
        meanwhile = [application.settlement.run, reconciler.run, clock_watch.run, records.database.raise_failure]
        if records.storage is not None:
            # Before anything is taken.
            await asyncio.to_thread(records.storage.look)
            meanwhile.append(records.storage.run)
        await _until_stopped(http, start, meanwhile)
        # Before whatever waits for it is waited for.
        records.database.give_up_if_stalled()


def _tell(
    loop: asyncio.AbstractEventLoop, listener: Callable[[frozenset[Caller]], None], callers: frozenset[Caller]
) -> None:
    with contextlib.suppress(RuntimeError):
        # The loop is closed: nothing runs any more that could be ended.
        loop.call_soon_threadsafe(listener, callers)


async def _until_stopped(
    http: HttpServer,
    start: Callable[[], Coroutine[None, None, None]],
    meanwhile: Sequence[Callable[[], Coroutine[None, None, None]]],
) -> None:
    """Serve, with `start` once and `meanwhile` for as long; end early when one of them fails, with its reason raised."""
    try:
        async with asyncio.TaskGroup() as tasks:
            beside = [tasks.create_task(work()) for work in (start, *meanwhile)]
            await http.serve(lambda: None)
            for task in beside:
                task.cancel()
    except BaseExceptionGroup as group:
        # One of them failed and the others were cancelled for it: its reason is the reason.
        raise group.exceptions[0] from group
