"""`/metrics` of the real server: what it says of the model, the money and the database after a request."""

import re

import requests
from openai import OpenAI

from tests.live import KEY, LiveServer


def values(server: LiveServer) -> dict[str, float]:
    """Each sample by its name with its labels."""
    text = requests.get(f"{server.url}/metrics", headers=server.headers, timeout=10).text
    return {name: float(value) for name, value in re.findall(r"^(parley_[^ ]+) (\S+)$", text, re.MULTILINE)}


def test_a_request_is_in_the_metrics_of_the_server_once_it_was_answered(live_server: LiveServer) -> None:
    before = values(live_server)
    with OpenAI(api_key=KEY, base_url=live_server.base_url) as client:
        message = {"role": "user", "content": "Say hello."}
        reply = client.chat.completions.create(model="gpt-3.5-turbo", messages=[message], max_tokens=8)
    after = values(live_server)

    def gained(name: str) -> float:
        return after[name] - before.get(name, 0.0)

    of = f'model="{reply.model}"'
    assert gained(f"parley_input_tokens_total{{{of}}}") == reply.usage.prompt_tokens
    assert gained(f"parley_output_tokens_total{{{of}}}") == reply.usage.completion_tokens
    ended = f'parley_requests_total{{endpoint="/v1/chat/completions",{of},outcome="finished"}}'
    assert gained(ended) == 1
    assert gained(f"parley_time_to_first_token_seconds_count{{{of}}}") == 1
    assert gained("parley_database_commit_duration_seconds_count") >= 1
    assert after["parley_holds"] == after["parley_held_dollars"] == 0
    assert after["parley_ledger_findings"] == after["parley_accounts_frozen"] == 0
    # Other tests of this server may have loaded further ones.
    weights = "parley-mini"
    assert after[f'parley_model_loaded{{model="{weights}"}}'] == 1
    assert after[f'parley_slots{{model="{weights}"}}'] == after[f'parley_slots_free{{model="{weights}"}}'] > 0
    assert after[f'parley_requests_waiting{{model="{weights}"}}'] == 0
    assert after["parley_memory_budget_bytes"] > after[f'parley_model_memory_bytes{{model="{weights}"}}'] > 0
    assert after["parley_http_requests_open"] == 1
    assert after["parley_database_writes_waiting"] <= 1
