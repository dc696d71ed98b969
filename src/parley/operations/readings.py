"""What metrics show of how things stand: read when somebody asks, never counted on the way of a request."""

from collections.abc import Callable, Mapping

from parley.core.money import NANO_PER_DOLLAR
from parley.core.residency import MemoryReport, ReplicaStatus, Residency
from parley.infra.metrics import Metrics
from parley.operations.reconcile import Reconciler
from parley.operations.records import Records


def watch_pools(metrics: Metrics, report: Callable[[], MemoryReport]) -> None:
    """Slots, queues and memory of each set of weights that was asked for."""

    def of_each(read: Callable[[ReplicaStatus], float]) -> Callable[[], Mapping[str, float]]:
        return lambda: {replica.weights: read(replica) for replica in report().replicas}

    for name, told, read in (
        ("parley_slots", "Sequences that a model can run at once.", lambda replica: replica.num_slots),
        ("parley_slots_free", "Those of them that nobody has.", lambda replica: replica.num_free_slots),
        ("parley_requests_waiting", "Requests in a model's queue.", lambda replica: replica.num_waiting),
        (
            "parley_model_memory_bytes",
            "What a model in memory is counted with, by estimate.",
            lambda replica: replica.memory_bytes,
        ),
        ("parley_model_loaded", "1 where a model is in memory.", lambda replica: replica.residency is Residency.LOADED),
        (
            "parley_model_unavailable",
            "1 where a model failed so often that it is not tried for a while.",
            lambda replica: replica.residency is Residency.UNAVAILABLE,
        ),
    ):
        metrics.gauge(name, told, of_each(read), label="model")
    metrics.gauge(
        "parley_memory_budget_bytes",
        "What models may take together; 0: no bound.",
        lambda: report().budget_bytes,
    )


def watch_records(metrics: Metrics, records: Records, reconciler: Reconciler) -> None:
    """Money and the database."""
    billing, database = records.billing, records.database
    metrics.gauge("parley_holds", "Requests whose credit is held.", lambda: len(billing.books.holds))
    metrics.gauge(
        "parley_held_dollars",
        "What is held for them.",
        lambda: sum(hold.amount_nano for hold in billing.books.holds.values()) / NANO_PER_DOLLAR,
    )
    metrics.gauge("parley_accounts_frozen", "Organizations whose account is frozen.", lambda: billing.books.num_frozen)
    metrics.gauge(
        "parley_ledger_findings",
        "What did not agree when the ledger was last compared with the books.",
        lambda: len(reconciler.findings),
    )
    metrics.gauge(
        "parley_database_writes_waiting", "Units of work that are not durable yet.", lambda: database.num_waiting
    )
    metrics.gauge(
        "parley_database_lag_seconds",
        "How long the oldest of them has waited.",
        lambda: database.lag_seconds,
    )
    database.watch_commits(metrics.committed)
