"""`/metrics` over HTTP: who may read it, and what it counts of what came."""

import pytest

from parley.core.errors import InvalidRequest
from parley.core.principal import Scope
from parley.domain.accounts.model import IssuedKey, KeyRequest
from parley.infra.db import Transaction
from parley.operations import manage_keys
from parley.operations.command_line import operator
from tests.builders_accounts import Town


async def metrics_key(town: Town, organization_id: str | None = None) -> str:
    """A key that was made on the server's own machine."""
    request = KeyRequest(name="prometheus", scopes=frozenset({Scope.METRICS}))
    issued = await manage_keys.create_key(town.records, await operator(town.records, organization_id), request)
    return issued.secret


async def test_a_key_with_the_scope_reads_metrics_and_nothing_else(town: Town) -> None:
    key = await metrics_key(town)
    reply = await town.call("GET", "/metrics", key=key)
    assert reply.headers["content-type"].startswith("text/plain; version=")
    assert "parley_build_info" in reply.text
    for path in ("/v1/models", "/v1/organization", "/v1/replicas", "/v1/organizations"):
        assert (await town.call("GET", path, key=key)).status_code == 401


async def test_nobody_reads_metrics_without_the_scope(town: Town) -> None:
    assert (await town.call("GET", "/metrics", key=None)).status_code == 401
    everything = (await town.new_key(scopes=["all"]))["value"]
    assert (await town.call("GET", "/metrics", key=everything)).status_code == 401
    admin = await town.ok("POST", "/v1/organization/admin_api_keys", {"name": "a"})
    assert (await town.call("GET", "/metrics", key=admin["value"])).status_code == 401
    ada = await town.sign_up("ada@example.org")
    assert (await ada.call("GET", "/metrics")).status_code == 401


@pytest.mark.parametrize("scope", [Scope.METRICS, Scope.OPERATOR])
async def test_what_reaches_beyond_an_organization_does_not_count_in_keys_of_another(town: Town, scope: Scope) -> None:
    ada = await town.sign_up("ada@example.org")
    request = KeyRequest(name="k", scopes=frozenset({scope}))
    accounts = town.records.accounts

    def issue(transaction: Transaction) -> IssuedKey:
        # As older versions let the command line make one.
        project = accounts.default_project(transaction.connection, ada.organization_id)
        return accounts.issue(transaction, project, request)

    key = (await town.records.database.transaction(issue)).secret
    assert (await town.call("GET", "/metrics", key=key)).status_code == 401
    assert (await town.call("GET", "/v1/organizations", key=key)).status_code == 401


async def test_no_new_key_of_another_organization_gets_what_reaches_beyond_it(town: Town) -> None:
    ada = await town.sign_up("ada@example.org")
    for scope in ("metrics", "operator"):
        wanted = {"name": "k", "scopes": [scope]}
        assert (await ada.call("POST", "/v1/organization/admin_api_keys", wanted)).status_code == 401
        with pytest.raises(InvalidRequest, match=f"only a key of the first organization can have '{scope}'"):
            await manage_keys.create_key(
                town.records,
                await operator(town.records, ada.organization_id),
                KeyRequest(name="k", scopes=frozenset({Scope(scope)})),
            )


async def test_metrics_are_there_while_the_server_stops(town: Town) -> None:
    town.open_requests.refuse_new()
    body = {"model": "echo-1", "messages": [{"role": "user", "content": "hi"}]}
    assert (await town.call("POST", "/v1/chat/completions", body)).status_code == 503
    assert 'parley_refusals_total{reason="server_is_overloaded"} 1.0' in (await town.call("GET", "/metrics")).text


async def test_http_requests_are_counted_by_route_and_status(town: Town) -> None:
    await town.call("GET", "/v1/models/echo-1")
    await town.call("GET", "/v1/models/nobody-knows-it")
    await town.call("GET", "/no/such/path")
    text = (await town.call("GET", "/metrics")).text
    of = 'parley_http_requests_total{method="GET",route="/v1/models/{model}"'
    assert f'{of},status="404"}}' in text
    assert 'parley_http_requests_total{method="other",route="other",status="404"} 1.0' in text
    assert 'parley_http_request_duration_seconds_count{route="/v1/models/{model}"} 2.0' in text
    assert "nobody-knows-it" not in text


async def test_a_refusal_by_a_limit_is_counted_by_its_kind(town: Town) -> None:
    key = (await town.new_key(limits={"requests_per_minute": 1}))["value"]
    body = {"model": "echo-1", "messages": [{"role": "user", "content": "hi"}]}
    replies = [await town.call("POST", "/v1/chat/completions", body, key=key) for _ in range(3)]
    assert [reply.status_code for reply in replies] == [200, 429, 429]
    assert 'parley_refusals_total{reason="requests"} 2.0' in (await town.call("GET", "/metrics")).text


async def test_what_asks_for_no_model_is_not_counted_as_refused(town: Town) -> None:
    town.open_requests.refuse_new()
    refused = [
        await town.call("GET", path, key=key) for path, key in (("/ready", None), ("/v1/models", town.owner_key))
    ]
    assert [reply.status_code for reply in refused] == [503, 503]
    text = (await town.call("GET", "/metrics")).text
    assert "parley_refusals_total{" not in text
    assert 'route="/ready",status="503"} 1.0' in text
