"""Keys as an attacker meets them: what is guessed, injected, timed, found on disk or in the log (I1, I6, I8-I12, K1-K3)."""

import logging
import os
import random
import re
import secrets
import string
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from parley.core.clock import FakeClock
from parley.domain.accounts.key_shape import find_secrets, has_valid_checksum, new_secret
from parley.domain.accounts.ring import Ring
from parley.infra.logs import configure_logging
from tests.builders_accounts import PASSWORD, Town

INJECTIONS = ("' OR 1=1 --", "sk-' UNION SELECT digest FROM keys --", '"; DROP TABLE keys; --', "sk-%00", "\\x27", "1)")
SQL_IN_TEXT = re.compile(r"""(?:execute\(|text\(|sql=)\s*(?:f["'][^"']*\{|["'][^"']*(?:%s|["'] ?[+%]))""")


def test_i1_no_query_is_put_together_from_strings() -> None:
    root = Path(__file__).parents[2] / "src" / "parley"
    guilty = [
        str(path.relative_to(root))
        for path in sorted(root.rglob("*.py"))
        if "migrations" not in path.parts and SQL_IN_TEXT.search(path.read_text())
    ]
    # These write names of our own: pragmas of SQLite and the columns of a table.
    assert set(guilty) == {"infra/sqlite.py", "infra/rows.py"}


async def test_i1_a_key_is_looked_up_without_a_query_and_what_is_none_costs_nothing(town: Town) -> None:
    queries: list[str] = []
    for engine in (town.records.database._read_engine, town.records.database._write_engine):
        event.listen(engine, "before_cursor_execute", lambda *said: queries.append(said[2]))
    for text in (*INJECTIONS, new_secret(), "sk-" + "a" * 36):
        for header in ("authorization", "x-api-key", "openai-organization", "openai-project", "cookie"):
            value = f"Bearer {text}" if header == "authorization" else text
            assert (await town.call("GET", "/v1/models", key=None, **{header: value})).status_code in {401, 429}
    assert queries == []


async def test_i1_an_injection_in_a_parameter_is_a_value(town: Town) -> None:
    for text in INJECTIONS:
        assert (await town.call("GET", f"/v1/organization/projects?after={text}")).status_code == 400
        # A NUL is in nothing's name, and in no query.
        answers = {400, 404} if "%00" in text else {200, 404}
        for path in (f"users/{text}", f"audit_logs?actor_ids[]={text}", f"invites/{text}"):
            assert (await town.call("GET", f"/v1/organization/{path}")).status_code in answers
    assert (await town.call("GET", "/v1/organization/projects")).status_code == 200


async def test_i6_keys_that_share_their_ends_are_told_apart(town: Town) -> None:
    first, second = (await town.new_key())["value"], (await town.new_key())["value"]
    ring = town.records.keys
    crossed = [first[:20] + second[20:], second[:20] + first[20:], first[:-4] + second[-4:], first + second]
    assert [ring.authenticate(secret) for secret in crossed] == [None] * 4
    assert ring.authenticate(first).key_id != ring.authenticate(second).key_id


async def test_i8_no_random_key_is_let_in_and_every_refusal_reads_alike(town: Town) -> None:
    alphabet = string.ascii_letters + string.digits
    rng = random.Random(8)
    ring = town.records.keys
    assert not any(ring.authenticate("sk-" + "".join(rng.choices(alphabet, k=36))) for _ in range(10_000))
    known = (await town.new_key())["value"]
    near, far = known[:-1] + ("0" if known[-1] != "0" else "1"), "sk-" + "Q" * 36

    async def refusal(secret: str) -> tuple[int, str]:
        reply = await town.call("GET", "/v1/models", key=secret)
        return reply.status_code, re.sub(r"provided: \S+", "", reply.json()["error"]["message"])

    assert await refusal(near) == await refusal(far)


async def test_i8_many_wrong_keys_from_one_address_are_429(town: Town) -> None:
    statuses = [(await town.call("GET", "/v1/models", key="sk-" + "x" * 36)).status_code for _ in range(22)]
    assert statuses == [401] * 20 + [429] * 2


def test_i9_a_million_random_strings_hold_no_key() -> None:
    alphabet = string.ascii_letters + string.digits
    rng = random.Random(9)
    accepted = sum(has_valid_checksum("sk-" + "".join(rng.choices(alphabet, k=36))) for _ in range(200_000))
    assert accepted == 0


def test_i9_a_key_is_found_in_any_text_and_nothing_else_is() -> None:
    secret = new_secret()
    assert list(find_secrets(f'OPENAI_API_KEY="{secret}"\n')) == [(16, secret)]
    assert list(find_secrets(f"x{secret}A")) == [(1, secret)]
    assert list(find_secrets(f"sk-{'a' * 34}{secret}")) == [(37, secret)]
    for text in (secret[:-1], secret.lower(), secret.replace("sk-", "sk_")):
        assert list(find_secrets(text)) == []


async def test_i10_no_secret_is_on_disk(town: Town, tmp_path: Path) -> None:
    key = (await town.new_key())["value"]
    admin = (await town.ok("POST", "/v1/organization/admin_api_keys", {"name": "a"}))["value"]
    found = {
        path.name: secret
        for path in tmp_path.rglob("*")
        if path.is_file()
        for secret in (key, admin)
        if secret.encode() in path.read_bytes()
    }
    assert found == {}


def test_i11_a_key_is_compared_by_its_whole_digest_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    ring = Ring(os.urandom(32), FakeClock())
    compared: list[tuple[int, int]] = []

    def noting(one: bytes, other: bytes) -> bool:
        compared.append((len(one), len(other)))
        return one == other

    monkeypatch.setattr("parley.domain.accounts.ring.hmac.compare_digest", noting)
    for secret in ("", "sk-x", new_secret(), "é" * 50):
        assert ring.authenticate(secret) is None
    # Also where there is no such digest: an unknown key and a known one do the same work.
    assert compared == [(32, 32)] * 4


async def test_i12_a_forged_forwarded_for_is_neither_believed_nor_noted(town: Town) -> None:
    await town.ok("POST", "/v1/organization/projects", {"name": "p"}, x_forwarded_for="203.0.113.9")
    entry = (await town.ok("GET", "/v1/organization/audit_logs?limit=1"))["data"][0]
    assert entry["actor"]["ip_address"] == "127.0.0.1"


async def fail_in_thirty_ways(town: Town, canary: str) -> list[str]:
    """Send a key through everything that can go wrong; the bodies of the replies."""
    bodies: list[str] = []
    paths = ["/v1/models", "/v1/nothing", f"/v1/models/{canary}", "/v1/organization/users", "/v1/chat/completions"]
    for path in paths:
        for method in ("GET", "POST", "DELETE"):
            json: Any = {"model": canary, "messages": canary} if method == "POST" else None
            reply = await town.call(method, path, json, key=canary)
            bodies.append(reply.text.replace(canary, "") if canary in path or json else reply.text)
    headers = ("openai-organization", "openai-project", "cookie", "user-agent", "x-csrf-token", "idempotency-key")
    for header in headers:
        bodies.append((await town.call("GET", "/v1/models", key=canary, **{header: canary})).text)
    for scheme in ("Basic ", "Token ", ""):
        bodies.append((await town.call("GET", "/v1/models", key=None, authorization=scheme + canary)).text)
    for body in ({"email": "a@example.org", "password": canary}, {"email": canary, "password": PASSWORD}, canary):
        bodies.append((await town.call("POST", "/v1/account/log_in", body, key=None)).text.replace(canary, ""))
    for path in ("/v1/account/reset", "/v1/account/accept_invite"):
        bodies.append((await town.call("POST", path, {"token": canary, "password": canary}, key=None)).text)
    return bodies


async def test_k1_k3_a_key_that_fails_in_thirty_ways_is_in_no_log_and_no_reply(town: Town, tmp_path: Path) -> None:
    stream = StringIO()
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    configure_logging(level="debug", style="json", stream=stream)
    canaries = ["sk-CANARY" + secrets.token_hex(15)[:27], (await town.new_key(scopes=["read"]))["value"]]
    try:
        bodies = [body for canary in canaries for body in await fail_in_thirty_ways(town, canary)]
    finally:
        root.handlers[:] = before
        root.setLevel(level)
    assert len(bodies) >= 58
    assert stream.getvalue().count("request finished") >= 58
    for canary in canaries:
        assert canary not in stream.getvalue()
        assert not [body for body in bodies if canary in body]
        assert not [p for p in tmp_path.rglob("*") if p.is_file() and canary.encode() in p.read_bytes()]
    internals = re.compile(r"0x[0-9a-f]{6,}|/src/|\.py\b|Traceback|site-packages|sqlite|SELECT ", re.IGNORECASE)
    assert not [body for body in bodies if internals.search(body)]
