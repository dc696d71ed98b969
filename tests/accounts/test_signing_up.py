"""Coming in: sign-up by code, log-in, reset, invites; what a guesser and a thief of links get."""

import itertools
import re
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from sqlalchemy import text

from parley.core.actor import Actor, ActorKind
from parley.core.errors import AuthenticationFailed, InvalidRequest
from parley.core.principal import Principal
from parley.domain.accounts.passwords import Passwords
from parley.operations.front_door import FrontDoor, SignUpRules
from tests.builders_accounts import CHEAP, PASSWORD, Town, town

SIGN_UP = "/v1/account/sign_up"
VERIFY = "/v1/account/verify"
LOG_IN = "/v1/account/log_in"


async def test_who_signs_up_owns_an_organization_of_their_own(town: Town) -> None:
    ada = await town.sign_up("ada@example.org")
    house = (await town.ok("GET", "/v1/organization"))["id"]
    assert ada.organization_id != house
    users = (await ada.call("GET", "/v1/organization/users")).json()["data"]
    assert [(user["email"], user["role"]) for user in users] == [("ada@example.org", "owner")]


async def test_a_known_address_gets_the_same_answer_and_another_letter(town: Town) -> None:
    await town.sign_up("ada@example.org")
    known = await town.call("POST", SIGN_UP, {"email": "ADA@example.org", "password": PASSWORD}, key=None)
    new = await town.call("POST", SIGN_UP, {"email": "bob@example.org", "password": PASSWORD}, key=None)
    assert (known.status_code, known.content) == (new.status_code, new.content)
    assert "has an account already" in await town.mail_to("ada@example.org", num=2)


async def test_a_code_may_be_tried_five_times(town: Town) -> None:
    await town.ok("POST", SIGN_UP, {"email": "ada@example.org", "password": PASSWORD}, key=None)
    right = re.search(r"\b(\d{6})\b", await town.mail_to("ada@example.org")).group()
    wrong = "000000" if right != "000000" else "111111"
    for _ in range(5):
        reply = await town.call(
            "POST", VERIFY, {"email": "ada@example.org", "code": wrong, "password": PASSWORD}, key=None
        )
        assert (reply.status_code, reply.json()["error"]["code"]) == (400, "invalid_code")
    late = await town.call("POST", VERIFY, {"email": "ada@example.org", "code": right, "password": PASSWORD}, key=None)
    assert late.json()["error"]["code"] == "invalid_code"


async def test_a_code_counts_once_and_for_a_quarter_of_an_hour(town: Town) -> None:
    await town.ok("POST", SIGN_UP, {"email": "ada@example.org", "password": PASSWORD}, key=None)
    code = re.search(r"\b(\d{6})\b", await town.mail_to("ada@example.org")).group()
    town.clock.advance(15 * 60)
    late = await town.call("POST", VERIFY, {"email": "ada@example.org", "code": code, "password": PASSWORD}, key=None)
    assert late.status_code == 400
    bob = await town.sign_up("bob@example.org")
    code = re.search(r"\b(\d{6})\b", await town.mail_to("bob@example.org")).group()
    again = await town.call("POST", VERIFY, {"email": "bob@example.org", "code": code, "password": PASSWORD}, key=None)
    assert again.status_code == 400
    assert bob.user_id


async def test_a_strangers_sign_up_is_not_completed_by_the_owner_of_the_address(town: Town) -> None:
    await town.ok("POST", SIGN_UP, {"email": "ada@example.org", "password": PASSWORD}, key=None)
    await town.mail_to("ada@example.org")
    await town.ok("POST", SIGN_UP, {"email": "ada@example.org", "password": "the strangers own"}, key=None)
    code = re.search(r"\b(\d{6})\b", await town.mail_to("ada@example.org", num=2)).group()
    body = {"email": "ada@example.org", "code": code, "password": PASSWORD}
    reply = await town.call("POST", VERIFY, body, key=None)
    assert (reply.status_code, reply.json()["error"]["code"]) == (400, "invalid_code")


async def test_another_sign_up_of_an_address_leaves_the_code_that_waits(town: Town) -> None:
    await town.ok("POST", SIGN_UP, {"email": "ada@example.org", "password": PASSWORD}, key=None)
    mine = re.search(r"\b(\d{6})\b", await town.mail_to("ada@example.org")).group()
    await town.ok("POST", SIGN_UP, {"email": "ada@example.org", "password": "the strangers own"}, key=None)
    theirs = re.search(r"\b(\d{6})\b", await town.mail_to("ada@example.org", num=2)).group()
    body = {"email": "ada@example.org", "code": mine, "password": PASSWORD}
    town.entered(await town.call("POST", VERIFY, body, key=None))
    late = {"email": "ada@example.org", "code": theirs, "password": "the strangers own"}
    assert (await town.call("POST", VERIFY, late, key=None)).json()["error"]["code"] == "invalid_code"


async def test_one_address_may_sign_up_five_times_an_hour(town: Town) -> None:
    statuses = [
        (await town.call("POST", SIGN_UP, {"email": f"p{n}@example.org", "password": PASSWORD}, key=None)).status_code
        for n in range(7)
    ]
    assert statuses == [200] * 5 + [429] * 2


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"email": "nobody", "password": PASSWORD}, "email"),
        ({"email": "a@b.c\r\nBcc: x@y.z", "password": PASSWORD}, "email"),
        ({"email": "=?utf-8?q?=0aa?=@b.c", "password": PASSWORD}, "email"),
        ({"email": "=?utf-8?q?a=40evil.org=20?=@b.c", "password": PASSWORD}, "email"),
        ({"email": "ada@example.org", "password": "short"}, "password"),
        ({"email": "ada@example.org", "password": PASSWORD, "name": "\x1b[2J"}, "name"),
        ({"email": "ada@example.org", "password": PASSWORD, "name": "ada\u202e"}, "name"),
        ({"email": "ada@example.org", "password": PASSWORD, "name": "\u200d\u200c"}, "name"),
    ],
)
async def test_what_cannot_be_kept_is_refused_by_name(town: Town, body: dict[str, str], param: str) -> None:
    reply = await town.call("POST", SIGN_UP, body, key=None)
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, param)


@pytest.mark.parametrize("name", ["Zoë 田中", "क्\u200dष", "\U0001f469\u200d\U0001f4bb & Co."])
async def test_a_name_is_kept_as_it_is_written_in_any_language(town: Town, name: str) -> None:
    made = await town.ok("POST", "/v1/organization/projects", {"name": name})
    assert made["name"] == name


async def test_sign_up_can_be_closed_or_kept_to_domains(tmp_path: Path) -> None:
    async with town(tmp_path / "closed", sign_up="closed") as closed:
        reply = await closed.call("POST", SIGN_UP, {"email": "a@example.org", "password": PASSWORD}, key=None)
        assert (reply.status_code, reply.json()["error"]["code"]) == (403, "sign_up_closed")
    async with town(tmp_path / "kept", sign_up_domains="example.org") as kept:
        reply = await kept.call("POST", SIGN_UP, {"email": "a@example.org.evil.net", "password": PASSWORD}, key=None)
        assert reply.json()["error"]["code"] == "domain_not_allowed"
        await kept.sign_up("a@example.org")


async def test_an_organization_that_waits_for_approval_can_do_nothing_until_then(tmp_path: Path) -> None:
    async with town(tmp_path, sign_up="approval") as here:
        ada = await here.sign_up("ada@example.org")
        assert (await ada.call("GET", "/v1/account/session")).json()["organization"]["status"] == "pending"
        assert (await ada.call("GET", "/v1/organization/users")).status_code == 401
        await here.ok("POST", f"/v1/organizations/{ada.organization_id}", {"status": "active"})
        assert (await ada.call("GET", "/v1/organization/users")).status_code == 200


async def test_a_suspended_organization_loses_its_keys_and_gets_them_back(town: Town) -> None:
    ada = await town.sign_up("ada@example.org")
    key = (await town.new_key(ada))["value"]
    assert (await town.call("GET", "/v1/models", key=key)).status_code == 200
    await town.ok("POST", f"/v1/organizations/{ada.organization_id}", {"status": "suspended"})
    assert (await town.call("GET", "/v1/models", key=key)).status_code == 401
    await town.ok("POST", f"/v1/organizations/{ada.organization_id}", {"status": "active"})
    assert (await town.call("GET", "/v1/models", key=key)).status_code == 200


async def test_i16_a_password_is_guessed_ten_times_in_a_quarter_of_an_hour(town: Town) -> None:
    await town.sign_up("ada@example.org")
    wrong = {"email": "ada@example.org", "password": "wrong password"}
    statuses = [(await town.call("POST", LOG_IN, wrong, key=None)).status_code for _ in range(12)]
    assert statuses == [401] * 10 + [429] * 2
    right = {"email": "ada@example.org", "password": PASSWORD}
    assert (await town.call("POST", LOG_IN, right, key=None)).status_code == 429
    town.clock.advance(15 * 60)
    assert (await town.call("POST", LOG_IN, right, key=None)).status_code == 200


async def test_i16_a_wrong_password_and_an_unknown_address_are_told_alike(town: Town) -> None:
    await town.sign_up("ada@example.org")
    wrong = await town.call("POST", LOG_IN, {"email": "ada@example.org", "password": "x" * 12}, key=None)
    unknown = await town.call("POST", LOG_IN, {"email": "eve@example.org", "password": "x" * 12}, key=None)
    assert (wrong.status_code, wrong.content) == (unknown.status_code, unknown.content)


async def test_i16_a_log_in_makes_a_new_session_whatever_the_browser_had(town: Town) -> None:
    ada = await town.sign_up("ada@example.org")
    fixed = {"cookie": "parley_session=chosen-by-a-stranger"}
    reply = await town.call("POST", LOG_IN, {"email": "ada@example.org", "password": PASSWORD}, key=None, **fixed)
    again = town.entered(reply)
    assert again.token not in {ada.token, "chosen-by-a-stranger"}


async def test_i16_a_reset_link_counts_once_for_an_hour_and_ends_every_session(town: Town) -> None:
    ada = await town.sign_up("ada@example.org")
    await town.ok("POST", "/v1/account/ask_reset", {"email": "ada@example.org"}, key=None)
    token = re.search(r"/reset#(\S+)", await town.mail_to("ada@example.org", num=2)).group(1)
    new = {"token": token, "password": "another password"}
    await town.ok("POST", "/v1/account/reset", new, key=None)
    assert (await ada.call("GET", "/v1/account/session")).status_code == 401
    assert (await town.call("POST", "/v1/account/reset", new, key=None)).json()["error"]["code"] == "invalid_token"
    old = await town.call("POST", LOG_IN, {"email": "ada@example.org", "password": PASSWORD}, key=None)
    assert old.status_code == 401
    await town.ok("POST", LOG_IN, {"email": "ada@example.org", "password": "another password"}, key=None)
    await town.ok("POST", "/v1/account/ask_reset", {"email": "ada@example.org"}, key=None)
    late = re.search(r"/reset#(\S+)", await town.mail_to("ada@example.org", num=3)).group(1)
    town.clock.advance(60 * 60)
    refused = await town.call("POST", "/v1/account/reset", {"token": late, "password": "third password"}, key=None)
    assert refused.status_code == 400


async def test_i16_of_two_reset_links_the_later_one_alone_counts(town: Town) -> None:
    await town.sign_up("ada@example.org")
    tokens = []
    for num in (2, 3):
        await town.ok("POST", "/v1/account/ask_reset", {"email": "ada@example.org"}, key=None)
        mail = await town.mail_to("ada@example.org", num=num)
        tokens.append(re.search(r"/reset#(\S+)", mail).group(1))
    for token, status in zip(tokens, (400, 200), strict=True):
        new = {"token": token, "password": "another password"}
        assert (await town.call("POST", "/v1/account/reset", new, key=None)).status_code == status


class Interrupted(Passwords):
    """Something happens between the moment in which a password is found right and that in which its user is let in."""

    def __init__(self, meanwhile: Callable[[], Awaitable[object]]) -> None:
        super().__init__(CHEAP)
        self._meanwhile = meanwhile

    async def is_right(self, password: str, password_hash: str | None) -> bool:
        is_right = await super().is_right(password, password_hash)
        await self._meanwhile()
        return is_right


def interrupted_door(town: Town, meanwhile: Callable[[], Awaitable[object]]) -> tuple[FrontDoor, Actor]:
    """The door, and who stands before it."""
    nobody = Principal(organization_id="", project_id="", key_id="", scopes=frozenset())
    visitor = Actor(kind=ActorKind.VISITOR, principal=nobody, address="192.0.2.1")
    rules = SignUpRules(public_url="http://here")
    return FrontDoor(town.records, Interrupted(meanwhile), rules, town.clock), visitor


async def test_a_sign_up_that_took_anothers_place_meanwhile_is_not_completed_with_its_password(town: Town) -> None:
    await town.ok("POST", SIGN_UP, {"email": "ada@example.org", "password": PASSWORD}, key=None)
    code = re.search(r"\b(\d{6})\b", await town.mail_to("ada@example.org")).group()

    async def replace() -> None:
        # A stranger's sign-up that was given the same code.
        theirs = text("UPDATE sign_ups SET password_hash = 'the hash of a password that is not hers'")
        await town.records.database.transaction(lambda unit: unit.connection.execute(theirs))

    door, visitor = interrupted_door(town, replace)
    with pytest.raises(InvalidRequest):
        await door.verify(visitor, email="ada@example.org", code=code, password=PASSWORD)


async def test_i16_a_log_in_beside_a_reset_is_not_let_in_with_the_old_password(town: Town) -> None:
    boss = await town.sign_up("boss@example.org")
    await town.sign_up("ada@example.org")
    await boss.call("POST", "/v1/organization/invites", {"email": "ada@example.org", "role": "reader"})
    invited = re.search(r"/invite#(\S+)", await town.mail_to("ada@example.org", num=2)).group(1)

    numbers = itertools.count(3)

    async def reset() -> None:
        await town.ok("POST", "/v1/account/ask_reset", {"email": "ada@example.org"}, key=None)
        mail = await town.mail_to("ada@example.org", num=next(numbers))
        token = re.search(r"/reset#(\S+)", mail).group(1)
        await town.ok("POST", "/v1/account/reset", {"token": token, "password": "another password"}, key=None)

    door, visitor = interrupted_door(town, reset)
    with pytest.raises(AuthenticationFailed):
        await door.log_in(visitor, email="ada@example.org", password=PASSWORD)
    with pytest.raises(AuthenticationFailed):
        await door.accept_invite(visitor, token=invited, name="", password="another password")


async def test_a_reset_for_nobody_is_answered_like_another_and_mails_nobody(town: Town) -> None:
    await town.sign_up("ada@example.org")
    known = await town.call("POST", "/v1/account/ask_reset", {"email": "ada@example.org"}, key=None)
    nobody = await town.call("POST", "/v1/account/ask_reset", {"email": "eve@example.org"}, key=None)
    assert (known.status_code, known.content) == (nobody.status_code, nobody.content)
    await town.mail_to("ada@example.org", num=2)
    assert {message["To"] for message in town.mails()} == {"ada@example.org"}


async def test_an_invite_makes_a_member_once_with_the_role_it_names(town: Town) -> None:
    project_id = await town.project_id()
    dev = await town.join("dev@example.org", "developer", projects=[{"id": project_id, "role": "member"}])
    token = re.search(r"/invite#(\S+)", await town.mail_to("dev@example.org")).group(1)
    again = await town.call("POST", "/v1/account/accept_invite", {"token": token, "password": PASSWORD}, key=None)
    assert again.json()["error"]["code"] == "invalid_token"
    user = await town.ok("GET", f"/v1/organization/users/{dev.user_id}")
    assert user["role"] == "developer"
    invites = (await town.ok("GET", "/v1/organization/invites"))["data"]
    assert [invite["status"] for invite in invites] == ["accepted"]


async def test_an_invite_that_was_withdrawn_or_is_old_counts_no_more(town: Town) -> None:
    for address in ("a@example.org", "b@example.org"):
        await town.ok("POST", "/v1/organization/invites", {"email": address, "role": "reader"})
    first, _ = (await town.ok("GET", "/v1/organization/invites"))["data"]
    await town.ok("DELETE", f"/v1/organization/invites/{first['id']}")
    town.clock.advance(7 * 86_400)
    for address in ("a@example.org", "b@example.org"):
        token = re.search(r"/invite#(\S+)", await town.mail_to(address)).group(1)
        reply = await town.call("POST", "/v1/account/accept_invite", {"token": token, "password": PASSWORD}, key=None)
        assert reply.json()["error"]["code"] == "invalid_token"


async def test_an_invite_does_not_take_over_an_account_without_its_password(town: Town) -> None:
    await town.sign_up("ada@example.org")
    await town.ok("POST", "/v1/organization/invites", {"email": "ada@example.org", "role": "admin"})
    token = re.search(r"/invite#(\S+)", await town.mail_to("ada@example.org", num=2)).group(1)
    wrong = {"token": token, "password": "an attackers password"}
    assert (await town.call("POST", "/v1/account/accept_invite", wrong, key=None)).status_code == 401
    right = {"token": token, "password": PASSWORD}
    assert (await town.call("POST", "/v1/account/accept_invite", right, key=None)).status_code == 200


async def test_i13_a_change_by_cookie_needs_the_token_that_no_other_site_knows(town: Town) -> None:
    ada = await town.sign_up("ada@example.org")
    path = "/v1/organization/projects"
    for csrf in ("", "0" * 64):
        reply = await ada.call("POST", path, {"name": "p"}, **{"x-csrf-token": csrf})
        assert (reply.status_code, reply.json()["error"]["code"]) == (403, "csrf_token_invalid")
    assert (await ada.call("POST", path, {"name": "p"})).status_code == 200


async def test_i13_the_cookie_is_out_of_reach_of_scripts_and_other_sites(tmp_path: Path) -> None:
    async with town(tmp_path, public_url="https://ai.example.org") as here:
        await here.sign_up("ada@example.org")
        reply = await here.call("POST", LOG_IN, {"email": "ada@example.org", "password": PASSWORD}, key=None)
        attributes = {part.strip() for part in reply.headers["set-cookie"].split(";")[1:]}
        assert {"HttpOnly", "SameSite=Lax", "Secure", "Path=/"} <= attributes
        assert "access-control-allow-credentials" not in reply.headers


async def test_a_session_ends_with_its_log_out_and_with_time(town: Town) -> None:
    ada = await town.sign_up("ada@example.org")
    assert (await ada.call("POST", "/v1/account/log_out")).status_code == 200
    assert (await ada.call("GET", "/v1/account/session")).status_code == 401
    reply = await town.call("POST", LOG_IN, {"email": "ada@example.org", "password": PASSWORD}, key=None)
    again = town.entered(reply)
    town.clock.advance(14 * 86_400)
    assert (await again.call("GET", "/v1/account/session")).status_code == 401


async def test_a_session_token_is_no_key_and_a_key_is_no_session(town: Town) -> None:
    ada = await town.sign_up("ada@example.org")
    assert (await town.call("GET", "/v1/models", key=ada.token)).status_code == 401
    stolen = {"cookie": f"parley_session={town.owner_key}"}
    assert (await town.call("GET", "/v1/models", key=None, **stolen)).status_code == 401
    assert (await town.call("GET", "/v1/account/session")).status_code == 401


async def test_a_session_is_refused_in_an_organization_that_it_is_not_of(town: Town) -> None:
    ada, eve = await town.sign_up("ada@example.org"), await town.sign_up("eve@example.org")
    for organization_id, status in ((ada.organization_id, 401), (eve.organization_id, 200)):
        reply = await eve.call("GET", "/v1/models", openai_organization=organization_id)
        assert reply.status_code == status


async def test_what_lets_people_in_is_on_disk_only_in_the_mail(town: Town, tmp_path: Path) -> None:
    ada = await town.sign_up("ada@example.org")
    await town.ok("POST", "/v1/account/ask_reset", {"email": "ada@example.org"}, key=None)
    reset = re.search(r"/reset#(\S+)", await town.mail_to("ada@example.org", num=2)).group(1)
    for secret in (ada.token, ada.csrf, PASSWORD, reset):
        holding = [path.name for path in tmp_path.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]
        assert all(name.endswith(".eml") for name in holding)
        assert bool(holding) == (secret == reset)
