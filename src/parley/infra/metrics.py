"""Metrics for Prometheus: what is counted, under which names and labels, and the page that it scrapes.

No label holds what a client chooses: routes, snapshots and weights come from our own tables, so their number is bounded.
What a request counts costs some microseconds once, at its end; a token costs nothing.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.metadata import version
from itertools import accumulate

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from parley.core.usage import Doubt, UsageRecord

MEDIA_TYPE = CONTENT_TYPE_LATEST
# What is counted of a path that is no route, and of a method that the route has not.
OTHER = "other"

_REQUEST_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
_TOKEN_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0)
_COMMIT_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)
_NANO = 1e-9

# What a gauge reads when it is asked: one value, or one for each value of its label.
Reading = Callable[[], float | Mapping[str, float]]


class Metrics:
    """One set of metrics, with a registry of its own. Counting cannot fail.

    Each is counted in one thread: commits in the writer's, everything else, and the page, on the event loop.
    """

    def __init__(self) -> None:
        registry = self._registry = CollectorRegistry()
        for each in (ProcessCollector, PlatformCollector, GCCollector):
            each(registry=registry)
        registry.register(_Build())
        self._http_requests = self._counters(
            "parley_http_requests", "HTTP requests that ended.", "method", "route", "status"
        )
        self._http_seconds = self._histograms(
            "parley_http_request_duration_seconds",
            "From a request's arrival to the last byte of its reply.",
            label="route",
        )
        self._refusals = self._counters("parley_refusals", "Requests to models that were refused, by why.", "reason")
        self._requests = self._counters(
            "parley_requests", "Requests to models that ended, by how.", "model", "endpoint", "outcome"
        )
        self._disputed = self._counters(
            "parley_disputed_requests", "Requests whose engine counted other tokens than those that came.", "model"
        )
        self._amounts = [
            self._counters(name, told, "model")
            for name, told in (
                ("parley_input_tokens", "Tokens of prompts."),
                ("parley_cached_input_tokens", "Those of them that the prefix cache served."),
                ("parley_output_tokens", "Tokens that were generated."),
                ("parley_charged_dollars", "What requests were charged; the ledger has it exactly."),
            )
        ]
        self._queue = self._histograms(
            "parley_queue_time_seconds", "From a request's arrival to its first slot.", label="model"
        )
        self._ttft = self._histograms(
            "parley_time_to_first_token_seconds", "From a request's arrival to its first output token.", label="model"
        )
        self._tpot = self._histograms(
            "parley_request_time_per_output_token_seconds",
            "Of requests with one choice: the mean time from one output token to the next.",
            _TOKEN_SECONDS,
            label="model",
        )
        self._e2e = self._histograms(
            "parley_request_duration_seconds", "From a request's arrival to its last event.", label="model"
        )
        self._commits = self._histograms(
            "parley_database_commit_duration_seconds",
            "What one commit took, in which all that waited is made durable together.",
            _COMMIT_SECONDS,
            label=None,
        )

    def http_ended(self, route: str | None, method: str, status: int, seconds: float) -> None:
        """A request was answered, or given up; `route` None: its path is none of ours."""
        named = OTHER if route is None else route
        self._http_requests.add((OTHER if route is None else method, named, str(status)))
        self._http_seconds.observe(named, seconds)

    def refused(self, reason: str) -> None:
        """A request to a model was refused for a reason out of a few."""
        self._refusals.add((reason,))

    def settled(self, record: UsageRecord) -> None:
        """A request to a model was settled."""
        model, usage = record.snapshot, record.usage
        self._requests.add((model, record.endpoint, record.outcome.value))
        if record.doubt is Doubt.DISPUTED:
            self._disputed.add((model,))
        amounts = (usage.input_tokens, usage.cached_tokens, usage.output_tokens, record.charge_nano * _NANO)
        for counters, amount in zip(self._amounts, amounts, strict=True):
            if amount:
                counters.add((model,), amount)
        self._queue.observe(model, record.queue_seconds)
        self._e2e.observe(model, record.e2e_seconds)
        if record.ttft_seconds is not None:
            self._ttft.observe(model, record.ttft_seconds)
            if record.num_choices == 1 and usage.output_tokens > 1:
                seconds = (record.e2e_seconds - record.ttft_seconds) / (usage.output_tokens - 1)
                self._tpot.observe(model, seconds)

    def committed(self, seconds: float) -> None:
        """A commit took so long."""
        self._commits.observe("", seconds)

    def gauge(self, name: str, told: str, read: Reading, *, label: str | None = None) -> None:
        """Have `read` asked at each scrape: for a value, or with a label for one for each of its values."""
        self._registry.register(_Gauge(name, told, read, label))

    def page(self) -> bytes:
        """Everything, as Prometheus reads it."""
        return generate_latest(self._registry)

    def _counters(self, name: str, told: str, *labels: str) -> "_Counters":
        made = _Counters(name, told, labels)
        self._registry.register(made)
        return made

    def _histograms(
        self, name: str, told: str, bounds: tuple[float, ...] = _REQUEST_SECONDS, *, label: str | None
    ) -> "_Histograms":
        made = _Histograms(name, told, bounds, label=label)
        self._registry.register(made)
        return made


class _Counters(Collector):
    """A counter's values by its labels. Plain additions in one thread: a fifth of what the library's own counter costs."""

    def __init__(self, name: str, told: str, labels: tuple[str, ...]) -> None:
        self._name = name
        self._told = told
        self._labels = labels
        self._values: dict[tuple[str, ...], float] = {}

    def add(self, labels: tuple[str, ...], amount: float = 1) -> None:
        self._values[labels] = self._values.get(labels, 0) + amount

    def collect(self) -> Iterator[Metric]:
        family = CounterMetricFamily(self._name, self._told, labels=self._labels)
        for labels, value in self._values.items():
            family.add_metric(labels, value)
        yield family


class _Histograms(Collector):
    """A histogram's counts by its label: of each bucket by itself, and last the sum of what was observed."""

    def __init__(self, name: str, told: str, bounds: tuple[float, ...], *, label: str | None) -> None:
        self._name = name
        self._told = told
        self._bounds = bounds
        self._labels = () if label is None else (label,)
        self._counts: dict[str, list[float]] = {}
        if label is None:
            self._counts[""] = [0] * (len(bounds) + 2)

    def observe(self, label: str, seconds: float) -> None:
        counts = self._counts.get(label)
        if counts is None:
            counts = self._counts[label] = [0] * (len(self._bounds) + 2)
        counts[bisect_left(self._bounds, seconds)] += 1
        counts[-1] += seconds

    def collect(self) -> Iterator[Metric]:
        family = HistogramMetricFamily(self._name, self._told, labels=self._labels)
        names = [*map(floatToGoString, self._bounds), "+Inf"]
        for label, counts in self._counts.items():
            *each, total = list(counts)
            labels = (label,) if self._labels else ()
            family.add_metric(labels, [*zip(names, accumulate(each), strict=True)], total)
        yield family


class _Gauge(Collector):
    """A value that is read where it lies."""

    def __init__(self, name: str, told: str, read: Reading, label: str | None) -> None:
        self._name = name
        self._told = told
        self._read = read
        self._labels = () if label is None else (label,)

    def describe(self) -> Iterable[Metric]:
        """Its name, without reading it: what it reads may not be there yet."""
        return [GaugeMetricFamily(self._name, self._told, labels=self._labels)]

    def collect(self) -> Iterator[Metric]:
        family = GaugeMetricFamily(self._name, self._told, labels=self._labels)
        found = self._read()
        if isinstance(found, Mapping):
            for label, value in found.items():
                family.add_metric((label,), value)
        else:
            family.add_metric((), found)
        yield family


class _Build(Collector):
    """Which Parley this is."""

    def collect(self) -> Iterator[Metric]:
        yield InfoMetricFamily("parley_build", "The version that runs.", {"version": version("parley")})
