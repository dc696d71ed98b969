"""The front door under pressure: what is counted for an e-mail address, what is worth hashing, who is let in meanwhile."""

import asyncio
import re
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx
import pytest

from parley.core.actor import Actor, ActorKind
from parley.core.errors import AuthenticationFailed, InvalidRequest, Overloaded, RateLimited
from parley.core.principal import Principal
from parley.domain.accounts.passwords import Passwords
from parley.infra import mail
from parley.infra.db import Transaction
from parley.operations.front_door import Applicant, FrontDoor, SignUpRules
from tests.builders_accounts import CHEAP, PASSWORD, Town

NOBODY = Principal(organization_id="", project_id="", key_id="", scopes=frozenset())
INVITES = "/v1/organization/invites"


def visitor(number: int) -> Actor:
    """Somebody who comes from an address of their own."""
    return Actor(kind=ActorKind.VISITOR, principal=NOBODY, address=f"192.0.2.{number}")


def applicant(address: str) -> Applicant:
    return Applicant(email=address, password=PASSWORD, name="", organization_name="")


def door_of(town: Town, passwords: Passwords | None = None) -> FrontDoor:
    return FrontDoor(town.records, passwords or Passwords(CHEAP), SignUpRules(public_url="http://here"), town.clock)


@asynccontextmanager
async def busy_writer(town: Town) -> AsyncIterator[None]:
    """What is handed to the writer meanwhile waits, and is committed together at the end."""
    is_over = threading.Event()

    def wait(_: Transaction) -> None:
        is_over.wait(30)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(town.records.database.transaction(wait))
        try:
            yield
        finally:
            is_over.set()


async def waiting(town: Town, num: int) -> None:
    """Come back when so many units wait for the writer."""
    async with asyncio.timeout(30):
        while town.records.database.num_waiting < num:
            await asyncio.sleep(0.001)


async def test_an_e_mail_address_is_signed_up_ten_times_an_hour_from_wherever(town: Town) -> None:
    await town.sign_up("ada@example.org")
    door = door_of(town)
    for email in ("ada@example.org", "bob@example.org"):
        for number in range(10):
            await door.sign_up(visitor(number), applicant(email))
        with pytest.raises(RateLimited):
            await door.sign_up(visitor(19), applicant(email.upper()))
        await door.sign_up(visitor(19), applicant(f"another-{email}"))
    town.clock.advance(3_600)
    await door.sign_up(visitor(19), applicant("bob@example.org"))


async def test_no_client_alone_keeps_an_e_mail_address_from_signing_up(town: Town) -> None:
    door, stranger, num_mails = door_of(town), visitor(1), 0
    for hour in range(26):
        for number in range(30):
            try:
                if number < 6:
                    await door.sign_up(stranger, applicant("ada@example.org"))
                    num_mails += 1
                await door.verify(stranger, email="ada@example.org", code=f"{number:06d}", password=PASSWORD)
            except (RateLimited, InvalidRequest):
                continue
        town.clock.advance(3_600)
        if hour % 5 == 0:
            # From elsewhere; what the stranger is refused does not count for them.
            await door.sign_up(visitor(2), applicant("ada@example.org"))
            num_mails += 1
    town.clock.advance(3_600)
    await door.sign_up(visitor(2), applicant("ada@example.org"))
    code = re.search(r"\b(\d{6})\b", await town.mail_to("ada@example.org", num=num_mails + 1)).group()
    assert (await door.verify(visitor(2), email="ada@example.org", code=code, password=PASSWORD)).token


async def test_the_codes_of_an_e_mail_address_are_tried_a_hundred_times_a_day_from_wherever(town: Town) -> None:
    await town.sign_up("ada@example.org")
    door = door_of(town)
    for email in ("ada@example.org", "bob@example.org"):
        for number in range(100):
            with pytest.raises(InvalidRequest):
                await door.verify(visitor(number), email=email, code=f"{number:06d}", password=PASSWORD)
        with pytest.raises(RateLimited):
            await door.verify(visitor(199), email=email, code="000000", password=PASSWORD)


async def wrong_log_in(door: FrontDoor, number: int) -> None:
    with pytest.raises(AuthenticationFailed):
        await door.log_in(visitor(number), email="ada@example.org", password="wrong password")


async def test_no_client_alone_keeps_the_right_password_of_another_out(town: Town) -> None:
    await town.sign_up("ada@example.org")
    door = door_of(town)
    for _ in range(48):
        for _ in range(12):
            with pytest.raises((AuthenticationFailed, RateLimited)):
                await door.log_in(visitor(1), email="ada@example.org", password="wrong password")
        town.clock.advance(1_800)
    assert (await door.log_in(visitor(2), email="ada@example.org", password=PASSWORD)).token


async def test_a_password_is_guessed_two_hundred_times_a_day_from_wherever(town: Town) -> None:
    await town.sign_up("ada@example.org")
    door = door_of(town)
    for number in range(200):
        await wrong_log_in(door, number)
    with pytest.raises(RateLimited):
        await door.log_in(visitor(201), email="ada@example.org", password=PASSWORD)
    # Whoever reads the mails of the address comes in nevertheless.
    await door.ask_reset(visitor(201), email="ada@example.org")
    token = re.search(r"/reset#(\S+)", await town.mail_to("ada@example.org", num=2)).group(1)
    await door.reset(visitor(201), token=token, password="another password")
    assert (await door.log_in(visitor(201), email="ada@example.org", password="another password")).token


async def test_who_logs_in_has_as_many_guesses_as_before_any_was_wrong(town: Town) -> None:
    await town.sign_up("ada@example.org")
    door = door_of(town)
    for first in (0, 150):
        for number in range(150):
            await wrong_log_in(door, first + number)
        assert (await door.log_in(visitor(500), email="ada@example.org", password=PASSWORD)).token


async def test_no_client_alone_keeps_an_address_from_asking_for_a_reset(town: Town) -> None:
    door = door_of(town)
    for _ in range(5):
        await door.ask_reset(visitor(1), email="ada@example.org")
    with pytest.raises(RateLimited):
        await door.ask_reset(visitor(1), email="ada@example.org")
    await door.ask_reset(visitor(2), email="ada@example.org")


async def test_many_client_addresses_do_not_make_an_e_mail_addresses_count_forgotten(town: Town) -> None:
    door = door_of(town)
    for number in range(10):
        await door.ask_reset(visitor(number), email="ada@example.org")
    for number in range(10_001):
        try:
            await door.ask_reset(visitor(number + 20), email="bob@example.org")
        except RateLimited:
            continue
    with pytest.raises(RateLimited):
        await door.ask_reset(visitor(19), email="ada@example.org")


async def test_a_reset_with_a_link_that_does_not_count_is_not_worth_hashing(town: Town) -> None:
    class Idle(Passwords):
        async def hash(self, password: str) -> str:
            raise AssertionError("a password was hashed")

    with pytest.raises(InvalidRequest) as refused:
        await door_of(town, Idle()).reset(visitor(1), token="no-link-of-ours", password=PASSWORD)
    assert refused.value.code == "invalid_token"


async def test_what_would_wait_too_long_to_be_hashed_is_refused() -> None:
    passwords = Passwords(CHEAP)
    done = await asyncio.gather(*(passwords.hash(PASSWORD) for _ in range(100)), return_exceptions=True)
    refusals = [one for one in done if isinstance(one, Overloaded)]
    assert (len(refusals), len({one for one in done if isinstance(one, str)})) == (34, 66)
    assert refusals[0].retry_after_seconds == 10
    assert await passwords.is_right(PASSWORD, await passwords.hash(PASSWORD))


async def test_a_log_in_beside_the_removal_of_its_user_is_refused_like_a_wrong_password(town: Town) -> None:
    boss = await town.sign_up("boss@example.org")
    ada = await town.join("ada@example.org", "developer", by=boss)
    body = {"email": "ada@example.org", "password": PASSWORD}
    async with asyncio.TaskGroup() as tasks, busy_writer(town):
        await waiting(town, 1)
        log_in = tasks.create_task(town.call("POST", "/v1/account/log_in", body, key=None))
        await waiting(town, 2)
        removal = tasks.create_task(boss.call("DELETE", f"/v1/organization/users/{ada.user_id}"))
        await waiting(town, 3)
    assert (removal.result().status_code, log_in.result().status_code) == (200, 401)
    assert log_in.result().json()["error"]["code"] == "invalid_login"
    assert "set-cookie" not in log_in.result().headers


async def test_who_belongs_nowhere_any_more_signs_up_again_as_the_same_user(town: Town) -> None:
    boss = await town.sign_up("boss@example.org")
    ada = await town.join("ada@example.org", "developer", by=boss)
    await town.ok("POST", "/v1/account/ask_reset", {"email": "ada@example.org"}, key=None)
    link = re.search(r"/reset#(\S+)", await town.mail_to("ada@example.org", num=2)).group(1)
    assert (await boss.call("DELETE", f"/v1/organization/users/{ada.user_id}")).status_code == 200
    body = {"email": "ada@example.org", "password": "another password"}
    await town.ok("POST", "/v1/account/sign_up", body, key=None)
    code = re.search(r"code is (\d{6})", await town.mail_to("ada@example.org", num=3)).group(1)
    again = town.entered(await town.call("POST", "/v1/account/verify", body | {"code": code}, key=None))
    assert again.user_id == ada.user_id
    assert again.organization_id != boss.organization_id
    for password, status in ((PASSWORD, 401), ("another password", 200)):
        reply = await town.call("POST", "/v1/account/log_in", body | {"password": password}, key=None)
        assert reply.status_code == status
    late = await town.call("POST", "/v1/account/reset", {"token": link, "password": PASSWORD}, key=None)
    assert late.json()["error"]["code"] == "invalid_token"


async def test_a_log_in_leads_where_something_can_be_done(town: Town) -> None:
    ada, bob = await town.sign_up("ada@example.org"), await town.sign_up("bob@example.org")
    town.clock.advance(1)
    await bob.call("POST", INVITES, {"email": "ada@example.org", "role": "developer"})
    token = re.search(r"/invite#(\S+)", await town.mail_to("ada@example.org", num=2)).group(1)
    await town.ok("POST", "/v1/account/accept_invite", {"token": token, "password": PASSWORD}, key=None)
    body = {"email": "ada@example.org", "password": PASSWORD}
    for status, leads_to in (("active", ada), ("suspended", bob)):
        await town.ok("POST", f"/v1/organizations/{ada.organization_id}", {"status": status})
        reply = await town.ok("POST", "/v1/account/log_in", body, key=None)
        assert reply["organization"]["id"] == leads_to.organization_id


@pytest.mark.parametrize("verb", ["sign_up", "verify", "log_in", "ask_reset", "reset", "accept_invite"])
async def test_a_page_of_another_site_cannot_send_what_does_not_say_that_it_is_json(town: Town, verb: str) -> None:
    await town.sign_up("ada@example.org")
    body = b'{"email": "ada@example.org", "password": "%s"}' % PASSWORD.encode()
    for headers in ({}, {"content-type": "text/plain"}):
        reply = await town.client.post(f"/v1/account/{verb}", content=body, headers=headers)
        assert (reply.status_code, reply.json()["error"]["code"]) == (400, "unsupported_content_type")
        assert "set-cookie" not in reply.headers


async def test_a_known_address_gets_the_same_answer_where_no_mail_can_be_taken(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = await town.sign_up("ada@example.org")
    monkeypatch.setattr(mail, "_MAX_WAITING", 0)
    for verb in ("sign_up", "ask_reset"):
        replies = []
        for email in ("ada@example.org", "bob@example.org"):
            body = {"email": email} | ({"password": PASSWORD} if verb == "sign_up" else {})
            replies.append(await town.call("POST", f"/v1/account/{verb}", body, key=None))
        known, unknown = replies
        assert (known.status_code, known.content) == (unknown.status_code, unknown.content)
        assert known.status_code == 503
    refused = await ada.call("POST", INVITES, {"email": "eve@example.org", "role": "viewer"})
    assert refused.status_code == 503
    assert (await ada.call("GET", INVITES)).json()["data"] == []


async def test_an_organization_invites_fifty_an_hour_and_the_first_one_as_many_as_it_will(town: Town) -> None:
    ada = await town.sign_up("ada@example.org")

    async def statuses(send: Callable[..., Awaitable[httpx.Response]]) -> list[int]:
        return [
            (await send("POST", INVITES, {"email": f"p{number}@example.org", "role": "viewer"})).status_code
            for number in range(51)
        ]

    assert await statuses(ada.call) == [200] * 50 + [429]
    assert await statuses(town.call) == [200] * 51
    late = await ada.call("POST", INVITES, {"email": "late@example.org", "role": "viewer"})
    assert late.headers["retry-after"]
    town.clock.advance(72)
    assert (await ada.call("POST", INVITES, {"email": "late@example.org", "role": "viewer"})).status_code == 200


async def test_a_person_is_invited_five_times_an_hour_by_one_organization_and_twenty_by_all(town: Town) -> None:
    senders = []
    for number in range(5):
        senders.append(await town.sign_up(f"boss{number}@example.org"))
        town.clock.advance(3_600)
    body = {"email": "ada@example.org", "role": "viewer"}
    statuses = [[(await sender.call("POST", INVITES, body)).status_code for _ in range(6)] for sender in senders]
    assert statuses == [[200] * 5 + [429]] * 4 + [[429] * 6]
    # The operator is bounded by nobody.
    assert (await town.call("POST", INVITES, body)).status_code == 200


async def test_an_invite_that_was_refused_counts_for_nobody(town: Town) -> None:
    boss = await town.sign_up("boss@example.org")
    body = {"email": "ada@example.org", "role": "viewer"}
    for _ in range(30):
        refused = await boss.call("POST", INVITES, body | {"projects": [{"id": "proj_x", "role": "viewer"}]})
        assert refused.status_code == 404
    assert (await boss.call("POST", INVITES, body)).status_code == 200


async def test_a_reset_is_asked_for_without_waiting_for_what_is_kept_of_it(town: Town) -> None:
    """Or the time that it takes would tell who has an account."""
    await town.sign_up("ada@example.org")
    door = door_of(town)
    async with busy_writer(town):
        for email in ("ada@example.org", "nobody@example.org"):
            await door.ask_reset(visitor(1), email=email)
    assert "/reset#" in await town.mail_to("ada@example.org", num=2)


async def test_only_the_first_organization_of_a_person_is_given_credit(town: Town) -> None:
    boss = await town.sign_up("boss@example.org")
    bob = await town.sign_up("bob@example.org")
    first = await town.ok("GET", f"/v1/organizations/{bob.organization_id}/credits")
    assert first["available_usd"] == 18
    await bob.call("POST", INVITES, {"email": "boss@example.org", "role": "owner"})
    token = re.search(r"/invite#(\S+)", await town.mail_to("boss@example.org", num=2)).group(1)
    entered = {"token": token, "password": PASSWORD}
    boss = town.entered(await town.call("POST", "/v1/account/accept_invite", entered, key=None))
    assert (await boss.call("DELETE", f"/v1/organization/users/{bob.user_id}")).status_code == 200
    await town.ok("POST", "/v1/account/sign_up", {"email": "bob@example.org", "password": PASSWORD}, key=None)
    code = re.search(r"\b(\d{6})\b", await town.mail_to("bob@example.org", num=2)).group()
    body = {"email": "bob@example.org", "code": code, "password": PASSWORD}
    again = town.entered(await town.call("POST", "/v1/account/verify", body, key=None))
    second = await town.ok("GET", f"/v1/organizations/{again.organization_id}/credits")
    assert second["available_usd"] == 0
