"""Builds and owns what runs models: an engine and a tokenizer for each set of weights. Part of the composition root."""

import asyncio
import os
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Protocol, Self

from parley.core.clock import Clock
from parley.core.ct2 import InvalidSpeechFolder, read_whisper
from parley.core.engine import Engine
from parley.core.errors import InvalidRequest, ModelLoadFailed
from parley.core.gguf import InvalidModelFile, read_header
from parley.core.picture import Vision
from parley.core.snapshot import EngineKind, Weights
from parley.core.speech import SpeechEngine
from parley.core.tokenizer import Tokenizer
from parley.core.upstream import Upstream
from parley.domain.catalog.model import CatalogError
from parley.domain.catalog.service import CatalogFiles
from parley.infra.leftovers import leash
from parley.infra.settings import Settings, environment_of_programs
from parley.serving.engines.echo import EchoEngine
from parley.serving.engines.llama import LlamaEngine, LlamaOptions
from parley.serving.engines.openai_server.adapter import UpstreamEngine, UpstreamOptions
from parley.serving.engines.openai_server.key import key_of
from parley.serving.engines.openai_server.program import SupervisedProgram
from parley.serving.engines.speech import SpeechOptions, WorkerSpeechEngine
from parley.serving.engines.vision import EchoVision, VisionOptions, WorkerVision
from parley.serving.prompting.echo_tokenizer import EchoTokenizer
from parley.serving.prompting.grammar_check import GrammarCheck
from parley.serving.prompting.pictures import PictureLimits, PictureReader
from parley.serving.prompting.tokenizer import WorkerTokenizer

# A server of somebody else has a queue of its own behind these.
_DEFAULT_SLOTS = {
    EngineKind.ECHO: 256,
    EngineKind.LLAMA: 8,
    EngineKind.UPSTREAM: 64,
    # Recordings that are heard side by side: short ones end before long ones that came first.
    EngineKind.SPHINX: 4,
    EngineKind.WHISPER: 16,
}
# What a replica takes besides weights and cache: its process, its vocabulary, the buffers of a step.
_OVERHEAD_BYTES = 192 << 20
# What a replica of pocketsphinx takes with its model; what one of Whisper works in beside its windows, and what these get.
_SPHINX_BYTES = 256 << 20
_WHISPER_BYTES = 512 << 20
_WINDOWS_BYTES = 1 << 30
# The same of what sees for it, and the rows of pictures that it keeps.
_VISION_OVERHEAD_BYTES = _OVERHEAD_BYTES + (256 << 20)
# How large the picture is with which a projector is tried.
_TRIED_SIDE = 224


@dataclass(frozen=True, slots=True, kw_only=True)
class EnginePlan:
    """What an engine is to be made of."""

    weights: Weights
    path: Path
    num_slots: int
    num_threads: int
    clock: Clock
    # The folder of a llama.cpp built for this processor.
    llama_build: Path | None
    # What sees for the weights, where they have a projector.
    vision: Vision | None = None


class OwnedEngine(Engine, Protocol):
    """An engine with a process: started before its first use, ended by its owner."""

    async def start(self) -> None:
        """Raises ModelLoadFailed."""
        ...

    async def aclose(self) -> None: ...


EngineFactory = Callable[[EnginePlan], OwnedEngine]


def make_llama(plan: EnginePlan) -> LlamaEngine:
    """A llama.cpp engine that is not started yet."""
    options = LlamaOptions(
        model=plan.path,
        context_length=plan.weights.context_length,
        num_slots=plan.num_slots,
        num_threads=plan.num_threads,
        build=plan.llama_build,
    )
    if "batch_tokens" in plan.weights.options:
        options = replace(options, batch_tokens=plan.weights.options["batch_tokens"])
    return LlamaEngine(options, clock=plan.clock, vision=plan.vision)


async def try_projector(model: Path, projector: Path) -> None:
    """Load a projector beside its model once. Raises ModelLoadFailed, with the reason, for two that do not fit."""
    vision = WorkerVision(VisionOptions(model=model, projector=projector))
    try:
        await vision.lay_out(_TRIED_SIDE, _TRIED_SIDE)
    except InvalidRequest:
        raise ModelLoadFailed(
            "it cannot lay out a picture of usual size, or makes more of one than a step can read"
        ) from None
    finally:
        await vision.aclose()


# Which program runs which kind of weights; the echo engine is no program.
ENGINES: Mapping[EngineKind, EngineFactory] = MappingProxyType({EngineKind.LLAMA: make_llama})


class Runtimes:
    """Starts engines and tokenizers when they are asked for, and ends all of them when the context is left."""

    def __init__(
        self,
        settings: Settings,
        catalog_files: CatalogFiles,
        clock: Clock,
        *,
        engines: Mapping[EngineKind, EngineFactory] = ENGINES,
    ) -> None:
        self._settings = settings
        self._catalog_files = catalog_files
        self._clock = clock
        self._engines = engines
        # What ends each engine that runs.
        self._running: dict[Engine | SpeechEngine, AsyncExitStack] = {}
        self._stack = AsyncExitStack()
        self._tokenizers: dict[str, Tokenizer] = {}
        self._visions: dict[str, WorkerVision] = {}
        self.grammar_check = GrammarCheck()
        self._stack.push_async_callback(self.grammar_check.aclose)
        self.picture_reader = PictureReader(
            PictureLimits(
                max_pictures=settings.max_images,
                max_pixels=settings.max_image_pixels,
                memory_bytes=settings.image_memory_mib << 20,
            )
        )
        self._stack.push_async_callback(self.picture_reader.aclose)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for engine in list(self._running):
            self._stack.push_async_callback(self.unload, engine)
        await self._stack.aclose()

    def num_slots(self, weights: Weights) -> int:
        """Sequences that a replica of these weights runs at once: the setting, else the catalog's, else the engine's own."""
        if weights.engine is EngineKind.UPSTREAM:
            # The setting is about this machine.
            return weights.options.get("num_slots", _DEFAULT_SLOTS[weights.engine])
        return self._settings.num_slots or weights.options.get("num_slots", _DEFAULT_SLOTS[weights.engine])

    async def memory_bytes(self, weights: Weights) -> int:
        """What a replica will take: its files, a cache for all slots' windows, and an allowance. Raises ModelLoadFailed."""
        if weights.engine is EngineKind.SPHINX:
            return _SPHINX_BYTES
        if weights.path is None or weights.upstream is not None:
            return 0
        if weights.engine is EngineKind.WHISPER:
            size = sum(file.stat().st_size for file in weights.path.iterdir())
            num_joined, window_bytes = await self._windows(weights, weights.path)
            return size + num_joined * window_bytes + _WHISPER_BYTES
        num_tokens = self.num_slots(weights) * weights.context_length
        try:
            header = await asyncio.to_thread(read_header, weights.path)
        except InvalidModelFile as error:
            raise ModelLoadFailed(str(error)) from error
        taken = weights.path.stat().st_size + header.cache_bytes_per_token * num_tokens + _OVERHEAD_BYTES
        if weights.projector is not None:
            taken += weights.projector.stat().st_size + _VISION_OVERHEAD_BYTES
        return taken

    async def load(self, weights: Weights) -> Engine:
        """A replica. Raises ModelLoadFailed, also when the file is not the one that the catalog pins."""
        if weights.upstream is not None:
            return await self._start_upstream(weights, weights.upstream)
        if weights.engine is EngineKind.ECHO or weights.path is None:
            return EchoEngine(num_slots=self.num_slots(weights))
        await self._verify(weights)
        vision = None if weights.projector is None else self._vision_of(weights, weights.path, weights.projector)
        async with AsyncExitStack() as stack:
            plan = EnginePlan(
                weights=weights,
                path=weights.path,
                num_slots=self.num_slots(weights),
                num_threads=self._num_threads(weights),
                clock=self._clock,
                llama_build=self._settings.llama_build,
                vision=vision,
            )
            engine = self._engines[weights.engine](plan)
            if vision is not None:
                # Their memory is counted together, so they leave together.
                stack.push_async_callback(vision.aclose)
            stack.push_async_callback(engine.aclose)
            await engine.start()
            self._running[engine] = stack.pop_all()
        return engine

    async def load_speech(self, weights: Weights) -> SpeechEngine:
        """A replica that hears. Raises ModelLoadFailed, also when its folder is not the one that the catalog pins."""
        settings = self._settings
        module = "parley.workers.sphinx"
        arguments: dict[str, object] = {"voice_threshold": settings.voice_threshold}
        if weights.path is not None:
            await self._verify(weights)
            module = "parley.workers.whisper"
            num_joined, _ = await self._windows(weights, weights.path)
            arguments |= {
                "folder": str(weights.path),
                "num_threads": self._num_threads(weights),
                "num_joined": num_joined,
                "rules": {
                    "compression_ratio": settings.whisper_compression_ratio,
                    "log_prob": settings.whisper_log_prob,
                    "no_speech": settings.whisper_no_speech,
                    "max_repeats": settings.whisper_max_repeats,
                },
            }
        options = SpeechOptions(module=module, num_slots=self.num_slots(weights), arguments=arguments)
        engine = WorkerSpeechEngine(options, clock=self._clock)
        async with AsyncExitStack() as stack:
            stack.push_async_callback(engine.aclose)
            await engine.start()
            self._running[engine] = stack.pop_all()
        return engine

    async def _windows(self, weights: Weights, folder: Path) -> tuple[int, int]:
        """How many windows a Whisper model decodes at once, and the bytes of each. Raises ModelLoadFailed."""
        try:
            facts = await asyncio.to_thread(read_whisper, folder)
        except InvalidSpeechFolder as error:
            raise ModelLoadFailed(str(error)) from error
        return max(1, min(self.num_slots(weights), _WINDOWS_BYTES // facts.window_bytes)), facts.window_bytes

    def vision_for(self, weights: Weights) -> Vision:
        """What sees for these weights, which have vision. Its worker starts with the first picture."""
        if weights.path is None or weights.projector is None:
            return EchoVision()
        return self._vision_of(weights, weights.path, weights.projector)

    def _vision_of(self, weights: Weights, model: Path, projector: Path) -> WorkerVision:
        if weights.name not in self._visions:
            options = VisionOptions(
                model=model,
                projector=projector,
                num_threads=self._num_threads(weights),
                build=self._settings.llama_build,
            )
            vision = self._visions[weights.name] = WorkerVision(options)
            self._stack.push_async_callback(vision.aclose)
        return self._visions[weights.name]

    def _num_threads(self, weights: Weights) -> int:
        return self._settings.num_threads or weights.options.get("num_threads", len(os.sched_getaffinity(0)))

    async def unload(self, engine: Engine | SpeechEngine) -> None:
        """End a replica that `load` gave; what still runs on it is aborted. Any number of times."""
        stack = self._running.pop(engine, None)
        if stack is not None:
            await stack.aclose()

    async def _start_upstream(self, weights: Weights, upstream: Upstream) -> UpstreamEngine:
        environment = environment_of_programs() | leash(self._settings.data)
        program = SupervisedProgram(upstream.command, environment) if upstream.command else None
        options = UpstreamOptions(
            upstream=upstream,
            num_slots=self.num_slots(weights),
            key=await asyncio.to_thread(key_of, upstream),
        )
        tokenizer = None if weights.path is None else await self.start_tokenizer(weights)
        engine = UpstreamEngine(options, clock=self._clock, tokenizer=tokenizer, program=program)
        async with AsyncExitStack() as stack:
            stack.push_async_callback(engine.aclose)
            await engine.start()
            self._running[engine] = stack.pop_all()
        return engine

    async def start_tokenizer(self, weights: Weights) -> Tokenizer:
        """A tokenizer that is ready. Raises ModelLoadFailed."""
        if weights.engine is EngineKind.ECHO or weights.path is None:
            return EchoTokenizer()
        if weights.name in self._tokenizers:
            # An upstream's adapter counts with the same one.
            return self._tokenizers[weights.name]
        await self._verify(weights)
        tokenizer = WorkerTokenizer(weights.path)
        await tokenizer.start()
        self._stack.push_async_callback(tokenizer.aclose)
        self._tokenizers[weights.name] = tokenizer
        return tokenizer

    async def _verify(self, weights: Weights) -> None:
        try:
            await asyncio.to_thread(self._catalog_files.verify, weights)
        except CatalogError as error:
            raise ModelLoadFailed(str(error)) from error
