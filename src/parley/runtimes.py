"""Builds and owns what runs models: an engine and a tokenizer for each set of weights. Part of the composition root."""

import asyncio
import os
from contextlib import AsyncExitStack
from dataclasses import replace
from types import TracebackType
from typing import Self

from parley.core.clock import Clock
from parley.core.engine import Engine
from parley.core.errors import ModelLoadFailed
from parley.core.snapshot import EngineKind, Weights
from parley.core.tokenizer import Tokenizer
from parley.domain.catalog.model import CatalogError
from parley.domain.catalog.service import CatalogFiles
from parley.infra.settings import Settings
from parley.serving.engines.echo import EchoEngine
from parley.serving.engines.llama import LlamaEngine, LlamaOptions
from parley.serving.prompting.echo_tokenizer import EchoTokenizer
from parley.serving.prompting.tokenizer import WorkerTokenizer

_DEFAULT_SLOTS = {EngineKind.ECHO: 256, EngineKind.LLAMA: 8}


class Runtimes:
    """Starts engines and tokenizers when they are asked for, and ends all of them when the context is left."""

    def __init__(self, settings: Settings, catalog_files: CatalogFiles, clock: Clock) -> None:
        self._settings = settings
        self._catalog_files = catalog_files
        self._clock = clock
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    def num_slots(self, weights: Weights) -> int:
        """Sequences that a replica of these weights runs at once: the setting, else the catalog's, else the engine's own."""
        return self._settings.num_slots or weights.options.get("num_slots", _DEFAULT_SLOTS[weights.engine])

    async def load(self, weights: Weights) -> Engine:
        """A replica. Raises ModelLoadFailed, also when the file is not the one that the catalog pins."""
        num_slots = self.num_slots(weights)
        if weights.engine is EngineKind.ECHO or weights.path is None:
            return EchoEngine(num_slots=num_slots)
        await self._verify(weights)
        options = LlamaOptions(
            model=weights.path,
            context_length=weights.context_length,
            num_slots=num_slots,
            num_threads=self._settings.num_threads or weights.options.get("num_threads", len(os.sched_getaffinity(0))),
        )
        if "batch_tokens" in weights.options:
            options = replace(options, batch_tokens=weights.options["batch_tokens"])
        engine = LlamaEngine(options, clock=self._clock)
        await engine.start()
        self._stack.push_async_callback(engine.aclose)
        return engine

    async def start_tokenizer(self, weights: Weights) -> Tokenizer:
        """A tokenizer that is ready. Raises ModelLoadFailed."""
        if weights.engine is EngineKind.ECHO or weights.path is None:
            return EchoTokenizer()
        await self._verify(weights)
        tokenizer = WorkerTokenizer(weights.path)
        await tokenizer.start()
        self._stack.push_async_callback(tokenizer.aclose)
        return tokenizer

    async def _verify(self, weights: Weights) -> None:
        try:
            await asyncio.to_thread(self._catalog_files.verify, weights)
        except CatalogError as error:
            raise ModelLoadFailed(str(error)) from error
