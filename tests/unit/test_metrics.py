"""Metrics: what is counted, how often, and that no client can make labels."""

import re
from pathlib import Path

from msgspec import structs

from parley.core.residency import MemoryReport
from parley.core.usage import Doubt, Outcome, Usage
from parley.infra.metrics import Metrics
from parley.operations.readings import watch_pools
from tests.builders_records import usage_record

DOCUMENT = Path(__file__).parents[2] / "docs" / "metrics.md"


def sample(metrics: Metrics, line: str) -> float:
    """The value behind a name with its labels."""
    found = re.search(rf"^{re.escape(line)} (\S+)$", metrics.page().decode(), re.MULTILINE)
    assert found is not None, line
    return float(found[1])


def test_a_settled_request_counts_its_tokens_charge_and_times():
    metrics = Metrics()
    record = structs.replace(
        usage_record(),
        usage=Usage(input_tokens=10, cached_tokens=4, output_tokens=6),
        num_choices=1,
        charge_nano=1_500_000_000,
        queue_seconds=0.02,
        ttft_seconds=0.2,
        e2e_seconds=0.7,
    )
    metrics.settled(record)
    metrics.settled(structs.replace(record, outcome=Outcome.ABORTED, ttft_seconds=None))
    of = '{model="gpt-4-0314"}'
    assert sample(metrics, f"parley_input_tokens_total{of}") == 20
    assert sample(metrics, f"parley_cached_input_tokens_total{of}") == 8
    assert sample(metrics, f"parley_output_tokens_total{of}") == 12
    assert sample(metrics, f"parley_charged_dollars_total{of}") == 3.0
    assert sample(metrics, f"parley_time_to_first_token_seconds_sum{of}") == 0.2
    assert sample(metrics, f"parley_queue_time_seconds_count{of}") == 2
    assert sample(metrics, f"parley_request_duration_seconds_sum{of}") == 1.4
    # Five gaps in half a second.
    assert abs(sample(metrics, f"parley_request_time_per_output_token_seconds_sum{of}") - 0.1) < 1e-9
    assert sample(metrics, f"parley_request_time_per_output_token_seconds_count{of}") == 1
    for outcome in ("finished", "aborted"):
        labels = f'{{endpoint="/v1/chat/completions",model="gpt-4-0314",outcome="{outcome}"}}'
        assert sample(metrics, f"parley_requests_total{labels}") == 1


def test_a_disputed_count_is_counted_and_an_estimate_is_not():
    metrics = Metrics()
    for doubt in (Doubt.DISPUTED, Doubt.ESTIMATED, None):
        metrics.settled(structs.replace(usage_record(), doubt=doubt))
    assert sample(metrics, 'parley_disputed_requests_total{model="gpt-4-0314"}') == 1


def test_several_choices_tell_nothing_of_the_time_between_tokens():
    metrics = Metrics()
    metrics.settled(structs.replace(usage_record(), num_choices=2))
    assert "parley_request_time_per_output_token_seconds_count" not in metrics.page().decode()


def test_what_is_no_route_is_one_label_whatever_clients_send():
    metrics = Metrics()
    for number in range(50):
        metrics.http_ended(None, f"VERB{number}", 404, 0.001)
    assert sample(metrics, 'parley_http_requests_total{method="other",route="other",status="404"}') == 50
    assert "VERB" not in metrics.page().decode()


def test_the_buckets_of_a_histogram_add_up_and_a_value_on_a_bound_is_in_it():
    metrics = Metrics()
    for seconds in (0.0004, 0.001, 0.3, 1_000.0):
        metrics.http_ended("/x", "GET", 200, seconds)
    counts = [
        sample(metrics, f'parley_http_request_duration_seconds_bucket{{le="{bound}",route="/x"}}')
        for bound in ("0.001", "0.25", "0.5", "120.0", "+Inf")
    ]
    assert counts == [2, 2, 3, 3, 4]
    assert sample(metrics, 'parley_http_request_duration_seconds_count{route="/x"}') == 4


def test_gauges_are_read_when_they_are_asked_for():
    metrics, waiting = Metrics(), {"a": 1.0}
    metrics.gauge("parley_things", "Things.", lambda: waiting, label="model")
    waiting["b"] = 2.0
    assert sample(metrics, 'parley_things{model="b"}') == 2
    waiting.clear()
    assert "parley_things{" not in metrics.page().decode()


def test_every_metric_is_in_the_document_and_every_one_in_the_document_exists():
    metrics = Metrics()
    watch_pools(metrics, lambda: MemoryReport(budget_bytes=0, replicas=()))
    of_records = {
        *("parley_holds", "parley_held_dollars", "parley_accounts_frozen", "parley_ledger_findings"),
        *("parley_database_writes_waiting", "parley_database_lag_seconds", "parley_http_requests_open"),
    }
    there = set(re.findall(r"^# HELP (parley_\w+)", metrics.page().decode(), re.MULTILINE)) | of_records
    table = [line for line in DOCUMENT.read_text().splitlines() if line.startswith("| `parley_")]
    told = {name for line in table for name in re.findall(r"parley_\w+", line.split("|")[1])}
    assert told == {name for name in there if not name.endswith("_created")}
