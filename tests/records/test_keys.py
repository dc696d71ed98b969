"""Keys: what they look like, who they let in, when they stop counting, and that no file ever holds one."""

import re
import secrets
import string
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from parley.core.clock import FakeClock
from parley.core.errors import InvalidRequest, NotFound
from parley.core.principal import Scope
from parley.domain.accounts.key_shape import has_valid_checksum, new_secret
from parley.domain.accounts.model import IssuedKey, Key, KeyRequest
from parley.domain.accounts.ring import Ring
from parley.operations import manage_keys
from parley.operations.command_line import operator
from parley.operations.first_start import ensure_owner
from parley.operations.records import Records, open_records
from tests.builders_records import settings_in


async def create_key(records: Records, request: KeyRequest) -> IssuedKey:
    return await manage_keys.create_key(records, await operator(records), request)


async def revoke_key(records: Records, key_id: str) -> Key:
    return await manage_keys.revoke_key(records, await operator(records), key_id)


@pytest.fixture
async def records(tmp_path: Path) -> AsyncIterator[Records]:
    async with open_records(settings_in(tmp_path / "d"), FakeClock()) as opened:
        await ensure_owner(opened, None)
        yield opened


def test_a_key_is_recognised_by_its_shape_and_checksum() -> None:
    made = {new_secret() for _ in range(500)}
    assert len(made) == 500
    for secret in made:
        assert re.fullmatch(r"sk-[0-9A-Za-z]{36}", secret)
        assert has_valid_checksum(secret)


def test_a_key_with_one_character_changed_is_not_recognised() -> None:
    secret = new_secret()
    for place in range(3, len(secret)):
        other = "a" if secret[place] != "a" else "b"
        assert not has_valid_checksum(secret[:place] + other + secret[place + 1 :])


def test_random_text_of_the_right_shape_is_not_recognised() -> None:
    alphabet = string.ascii_letters + string.digits
    accepted = [
        text
        for text in ("sk-" + "".join(secrets.choice(alphabet) for _ in range(36)) for _ in range(20_000))
        if has_valid_checksum(text)
    ]
    assert accepted == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sk-",
        "sk-" + "é" * 36,
        "pk-" + "a" * 36,
        "sk-" + "a" * 35,
        pytest.param(new_secret() + "0", id="one too many"),
    ],
)
def test_other_shapes_are_not_recognised(text: str) -> None:
    assert not has_valid_checksum(text)


async def test_a_new_key_counts_at_once_and_says_who_it_is(records: Records) -> None:
    issued = await create_key(records, KeyRequest(name="app"))
    principal = records.keys.authenticate(issued.secret)
    assert principal is not None
    assert principal.key_id == issued.key.id
    assert principal.may(Scope.MODEL_REQUEST)
    assert not principal.may(Scope.ADMIN)


async def test_a_revoked_key_stops_counting_at_once_and_after_a_restart(tmp_path: Path) -> None:
    settings = settings_in(tmp_path / "d")
    async with open_records(settings, FakeClock()) as records:
        await ensure_owner(records, None)
        kept = await create_key(records, KeyRequest(name="kept"))
        revoked = await create_key(records, KeyRequest(name="revoked"))
        await revoke_key(records, revoked.key.id)
        assert records.keys.authenticate(revoked.secret) is None
        assert records.keys.authenticate(kept.secret) is not None
    async with open_records(settings, FakeClock()) as records:
        assert records.keys.authenticate(revoked.secret) is None
        assert records.keys.authenticate(kept.secret) is not None


async def test_revoking_again_changes_nothing(records: Records) -> None:
    issued = await create_key(records, KeyRequest(name="app"))
    first = await revoke_key(records, issued.key.id)
    records.clock.advance(60)
    assert (await revoke_key(records, issued.key.id)).revoked_at == first.revoked_at


async def test_an_unknown_key_cannot_be_revoked(records: Records) -> None:
    with pytest.raises(NotFound):
        await revoke_key(records, "key_nobody")


async def test_keys_that_share_their_beginning_or_end_are_not_mixed_up(records: Records) -> None:
    secret = (await create_key(records, KeyRequest(name="app"))).secret
    for near in (secret[:-1], secret + "0", secret[:-1] + ("0" if secret[-1] != "0" else "1"), secret.swapcase()):
        assert records.keys.authenticate(near) is None


@pytest.mark.parametrize("text", ["", " ", "sk-", "\ud800", "é" * 100, "a" * 100_000, "' OR 1=1 --"])
async def test_what_is_no_key_is_nobody_and_no_error(records: Records, text: str) -> None:
    assert records.keys.authenticate(text) is None


async def test_a_key_may_be_limited_to_models_that_exist(records: Records) -> None:
    issued = await create_key(records, KeyRequest(name="app", allowed_models=frozenset({"gpt-4"})))
    assert records.keys.authenticate(issued.secret).allowed_models == {"gpt-4"}
    with pytest.raises(InvalidRequest, match="gpt-5000"):
        await create_key(records, KeyRequest(name="app", allowed_models=frozenset({"gpt-5000"})))


async def test_no_file_holds_a_key_that_was_shown_once(tmp_path: Path) -> None:
    folder = tmp_path / "d"
    canary = "CANARY-" + secrets.token_hex(16)
    async with open_records(settings_in(folder), FakeClock()) as records:
        owner = await ensure_owner(records, canary)
        issued = await create_key(records, KeyRequest(name="app"))
        await revoke_key(records, issued.key.id)
        # While it is open, the write-ahead log is there to be searched too.
        assert folder_holding(folder, issued.secret) == []
        assert folder_holding(folder, canary) == []
        assert issued.secret[-4:] in {key.last_four for key in await manage_keys.all_keys(records)}
    assert folder_holding(folder, issued.secret) == []
    assert folder_holding(folder, canary) == []
    # The search is able to find: the owner's key is in its file and nowhere else.
    assert folder_holding(folder, owner) == ["owner.key"]


def folder_holding(folder: Path, text: str) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.is_file() and text.encode() in path.read_bytes()]


def test_another_pepper_makes_every_key_worthless() -> None:
    secret = new_secret()
    clock = FakeClock()
    assert Ring(b"a" * 32, clock).digest(secret) != Ring(b"b" * 32, clock).digest(secret)
