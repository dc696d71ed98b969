"""Where accounts and money meet: who gets what at the start, whose budget counts, and what is told of it afterwards."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from parley.core.actor import Actor, ActorKind
from parley.core.errors import InvalidRequest, MissingScope, NotFound
from parley.core.pages import PageRequest
from parley.core.price import Price
from parley.core.principal import Principal
from parley.domain.audit.model import AuditEntry, AuditFilter
from parley.operations import credit
from parley.operations.command_line import operator
from parley.operations.credit import OwnPrice
from tests.builders_accounts import Town, town

# A cent a token.
CENT = 10_000_000
PRICE = Price(version="test:1", input_token_nano=CENT, cached_token_nano=CENT, output_token_nano=CENT)
EIGHTEEN_DOLLARS = 18_000_000_000
CHAT: dict[str, Any] = {"model": "echo-1", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 10}


@pytest.fixture(name="shop")
async def _shop(tmp_path: Path) -> AsyncIterator[Town]:
    async with town(tmp_path, price=PRICE) as opened:
        yield opened


async def chat(shop: Town, key: str, **fields: Any) -> httpx.Response:
    return await shop.call("POST", "/v1/chat/completions", CHAT | fields, key=key)


def worst_nano(reply: httpx.Response) -> int:
    """What the request held: its prompt and the most that it may be answered with."""
    return (reply.json()["usage"]["prompt_tokens"] + CHAT["max_tokens"]) * CENT


def charge_nano(reply: httpx.Response) -> int:
    return reply.json()["usage"]["total_tokens"] * CENT


async def entries(shop: Town, organization_id: str) -> list[AuditEntry]:
    """The audit log of an organization, the newest first."""
    page = await shop.records.database.read(
        lambda connection: shop.records.audit.list_entries(
            connection, organization_id, AuditFilter(), PageRequest(limit=100)
        )
    )
    return list(page.items)


async def test_who_signs_up_gets_eighteen_dollars_for_three_months_and_nobody_else_does(shop: Town) -> None:
    ada = await shop.sign_up("ada@example.org")
    made = await shop.ok("POST", "/v1/organizations", {"name": "made by the operator"})
    books = shop.records.billing.books
    (given,) = books.account(ada.organization_id).grants
    assert (given.left_nano, books.available_nano(ada.organization_id)) == (EIGHTEEN_DOLLARS, EIGHTEEN_DOLLARS)
    assert given.expires_at == shop.clock.now() + 90 * 86_400
    house = (await operator(shop.records)).organization_id
    assert [books.account(each).grants for each in (made["id"], house)] == [[], []]
    noted = [entry for entry in await entries(shop, ada.organization_id) if entry.change.type == "credit.granted"]
    assert [(entry.change.after["id"], entry.actor_email) for entry in noted] == [(given.id, "ada@example.org")]


async def test_a_code_that_is_wrong_gives_nothing(shop: Town) -> None:
    body = {"email": "ada@example.org", "password": "correct horse battery"}
    await shop.ok("POST", "/v1/account/sign_up", body, key=None)
    reply = await shop.call("POST", "/v1/account/verify", body | {"code": "no"}, key=None)
    assert reply.status_code == 400
    assert await shop.records.database.read(shop.records.billing.last_entry) == 0


async def test_the_grant_is_spent_by_requests_and_then_the_organization_is_refused(shop: Town) -> None:
    ada = await shop.sign_up("ada@example.org")
    key = (await shop.new_key(ada))["value"]
    first = await chat(shop, key)
    books = shop.records.billing.books
    assert books.available_nano(ada.organization_id) == EIGHTEEN_DOLLARS - charge_nano(first)
    money = f"/v1/organizations/{ada.organization_id}/credits"
    assert len((await shop.ok("GET", money))["grants"]) == 1
    shop.clock.advance(91 * 86_400)
    assert (await shop.ok("GET", money))["grants"] == []
    refused = await chat(shop, key)
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "insufficient_quota")
    assert books.held_nano(ada.organization_id) == 0


async def test_a_refusal_for_money_tells_how_the_limits_stand_and_takes_nothing_from_them(shop: Town) -> None:
    ada = await shop.sign_up("ada@example.org")
    key = (await shop.new_key(ada))["value"]
    shop.clock.advance(91 * 86_400)
    refused = await chat(shop, key, max_tokens=500)
    assert refused.headers["x-ratelimit-limit-tokens"] == "40000"
    assert refused.headers["x-ratelimit-remaining-tokens"] == "40000"
    assert refused.headers["x-ratelimit-remaining-requests"] == "20"
    await shop.records.database.transaction(
        lambda unit: shop.records.billing.top_up(unit, ada.organization_id, 10**12, key="p", note="")
    )
    served = await chat(shop, key)
    taken = served.json()["usage"]["prompt_tokens"] + CHAT["max_tokens"]
    assert int(served.headers["x-ratelimit-remaining-tokens"]) == 40_000 - taken
    assert served.headers["x-ratelimit-remaining-requests"] == "19"


@pytest.mark.parametrize("mode", ["open", "metered"])
async def test_limits_and_money_agree_about_who_is_open_also_after_a_restart(tmp_path: Path, mode: str) -> None:
    for _ in range(2):
        async with town(tmp_path, price=PRICE, mode=mode) as shop:
            owner_key = shop.owner_key or (shop.records.folder.owner_key_path).read_text().strip()
            house = shop.records.keys.authenticate(owner_key)
            assert house.is_metered == (mode == "metered")
            open_organization = shop.records.billing.books.open_organization
            assert open_organization == (None if mode == "metered" else house.organization_id)
            asked = await chat(shop, owner_key)
            assert asked.status_code == (429 if mode == "metered" else 200)
            # Of those who operate the installation, no tier of a trial.
            limit = asked.headers["x-ratelimit-limit-requests"]
            assert limit == ("3500" if mode == "metered" else "1000000000")


async def test_a_keys_budget_is_the_one_that_is_kept_with_it(shop: Town) -> None:
    key = await shop.new_key()
    path = f"/v1/organization/projects/{key['project_id']}/api_keys/{key['id']}"
    first = await chat(shop, key["value"])
    spent, worst = charge_nano(first), worst_nano(first)
    await shop.ok("POST", path, {"monthly_budget_usd": (spent + worst - CENT) / 10**9})
    refused = await chat(shop, key["value"])
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "key_spend_limit_exceeded")
    await shop.ok("POST", path, {"monthly_budget_usd": (spent + worst) / 10**9})
    assert (await chat(shop, key["value"])).status_code == 200
    # The operator's word is about the same budget.
    actor = await operator(shop.records)
    await credit.set_budget(shop.records, actor, key["id"], CENT)
    assert (await shop.ok("GET", path))["monthly_budget_usd"] == 0.01
    assert (await chat(shop, key["value"])).json()["error"]["code"] == "key_spend_limit_exceeded"
    await credit.set_budget(shop.records, actor, key["id"], None)
    assert (await chat(shop, key["value"])).status_code == 200


async def test_rotating_a_key_is_no_way_around_its_budget(shop: Town) -> None:
    key = await shop.new_key()
    path = f"/v1/organization/projects/{key['project_id']}/api_keys/{key['id']}"
    first = await chat(shop, key["value"])
    await shop.ok("POST", path, {"monthly_budget_usd": (charge_nano(first) + worst_nano(first) - CENT) / 10**9})
    successor = await shop.ok("POST", f"{path}/rotate", {})
    refused = await chat(shop, successor["value"])
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "key_spend_limit_exceeded")
    shop.clock.advance(31 * 86_400)
    assert (await chat(shop, successor["value"])).status_code == 200


async def test_a_projects_budget_counts_for_all_its_keys_together(shop: Town) -> None:
    one, other = await shop.new_key(), await shop.new_key()
    first = await chat(shop, one["value"])
    actor = await operator(shop.records)
    limit = charge_nano(first) + worst_nano(first) - CENT
    await credit.set_budget(shop.records, actor, one["project_id"], limit)
    refused = await chat(shop, other["value"])
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "project_spend_limit_exceeded")
    entry = (await entries(shop, actor.organization_id))[0]
    assert (entry.change.type, entry.change.project_id) == ("budget.updated", one["project_id"])
    assert (entry.change.before["monthly_budget_nano"], entry.change.after["monthly_budget_nano"]) == (None, limit)


@pytest.mark.parametrize(
    ("scope", "error"), [("key_x", NotFound), ("proj_x", NotFound), ("org-x", NotFound), ("user-x", InvalidRequest)]
)
async def test_nobody_has_no_budget(shop: Town, scope: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        await credit.set_budget(shop.records, await operator(shop.records), scope, 1)


async def test_a_member_sees_what_is_left_and_the_operator_tops_it_up_once_for_each_payment(shop: Town) -> None:
    ada = await shop.sign_up("ada@example.org")
    path = f"/v1/organizations/{ada.organization_id}/credits"
    seen = (await ada.call("GET", "/v1/organization/credits")).json()
    assert (seen["paid_usd"], seen["available_usd"], seen["is_metered"]) == (0, 18, True)
    assert [grant["left_usd"] for grant in seen["grants"]] == [18]
    body = {"amount_usd": 20.5, "payment": "invoice 7", "note": "thanks"}
    assert (await shop.ok("POST", path, body))["available_usd"] == 38.5
    assert (await shop.call("POST", path, body)).status_code == 409
    assert (await shop.ok("GET", path))["paid_usd"] == 20.5
    assert (await ada.call("GET", "/v1/organization/credits")).json()["paid_usd"] == 20.5
    (entry,) = [each for each in await entries(shop, ada.organization_id) if each.change.type == "credit.added"]
    assert (entry.actor_kind, entry.change.after["amount_nano"]) == (ActorKind.API_KEY, 20_500_000_000)


async def test_nobody_but_the_operator_tops_up(shop: Town) -> None:
    ada, eve = await shop.sign_up("ada@example.org"), await shop.sign_up("eve@example.org")
    path = f"/v1/organizations/{ada.organization_id}/credits"
    for person in (ada, eve):
        assert (await person.call("POST", path, {"amount_usd": 1})).status_code == 401
        assert (await person.call("GET", path)).status_code == 401
    for wrong in (0, -1, 1e9, "1"):
        assert (await shop.call("POST", path, {"amount_usd": wrong})).status_code == 400
    assert (await shop.call("POST", "/v1/organizations/org-nobody/credits", {"amount_usd": 1})).status_code == 404
    assert (await ada.call("GET", "/v1/organization/credits")).json()["available_usd"] == 18


async def test_what_an_own_price_does_not_state_stays_what_everybody_pays(shop: Town) -> None:
    ada = await shop.sign_up("ada@example.org")
    actor = await operator(shop.records, ada.organization_id)
    snapshot = shop.records.catalog.resolve("whisper-1")

    def paid() -> Price:
        return shop.records.billing.price_for(ada.organization_id, snapshot)

    assert snapshot.price.audio_second_nano > 0
    await credit.set_price(shop.records, actor, "whisper-1", OwnPrice(input_token_nano=7))
    assert (paid().input_token_nano, paid().audio_second_nano) == (7, snapshot.price.audio_second_nano)
    await credit.set_price(shop.records, actor, "whisper-1", OwnPrice(audio_second_nano=9, image_nano={"64x64": 3}))
    assert (paid().input_token_nano, paid().audio_second_nano) == (snapshot.price.input_token_nano, 9)
    assert dict(paid().image_nano) == dict(snapshot.price.image_nano) | {"64x64": 3}
    assert paid().version != snapshot.price.version
    for beyond in (OwnPrice(training_token_nano=-1), OwnPrice(image_nano={"64x64": 10**13})):
        with pytest.raises(InvalidRequest):
            await credit.set_price(shop.records, actor, "whisper-1", beyond)
    await credit.set_price(shop.records, actor, "whisper-1", None)
    assert paid() == snapshot.price


async def test_every_verb_on_money_is_in_the_log_of_the_organization_that_it_is_about(shop: Town) -> None:
    ada = await shop.sign_up("ada@example.org")
    key = await shop.new_key(ada)
    owner = ada.organization_id
    actor = await operator(shop.records, owner)
    model = next(name for name, snapshot, _ in shop.records.catalog.entries() if name == snapshot.name)
    await credit.top_up(shop.records, actor, 5, payment="invoice 7", note="paid")
    await credit.grant(shop.records, actor, 6, days=1)
    await credit.set_budget(shop.records, actor, owner, 7)
    await credit.set_budget(shop.records, actor, owner, 8)
    await credit.set_budget(shop.records, actor, key["id"], 9)
    await credit.set_price(shop.records, actor, model, OwnPrice(output_token_nano=CENT))
    await shop.records.database.transaction(
        lambda unit: shop.records.billing.set_frozen(unit, owner, reason="looked odd")
    )
    await credit.thaw(shop.records, actor)
    noted = list(reversed((await entries(shop, owner))[:7]))
    assert {entry.actor_kind for entry in noted} == {ActorKind.COMMAND_LINE}
    assert [entry.change.type for entry in noted] == [
        "credit.added",
        "credit.granted",
        "budget.updated",
        "budget.updated",
        "api_key.updated",
        "price.updated",
        "account.thawed",
    ]
    added, given, _, again, bounded, priced, thawed = [entry.change for entry in noted]
    assert (added.resource_id, added.after["amount_nano"], added.after["note"]) == ("invoice 7", 5, "paid")
    assert given.after["amount_nano"] == 6
    assert (again.before["monthly_budget_nano"], again.after["monthly_budget_nano"]) == (7, 8)
    assert (bounded.before["budget_nano"], bounded.after["budget_nano"]) == (None, 9)
    assert (priced.before["price"], priced.after["price"]["output_token_nano"]) == (None, CENT)
    assert (thawed.before["frozen"], thawed.after["frozen"]) == ("looked odd", None)


async def test_only_the_operator_gives_money(shop: Town) -> None:
    ada = await shop.sign_up("ada@example.org")
    scopes = shop.records.keys.recognise(ada.token).usual.scopes
    principal = Principal(organization_id=ada.organization_id, project_id="", key_id="sess_x", scopes=scopes)
    actor = Actor(kind=ActorKind.SESSION, principal=principal)
    for verb in (
        credit.top_up(shop.records, actor, 5),
        credit.grant(shop.records, actor, 5, days=1),
        credit.set_budget(shop.records, actor, ada.organization_id, 5),
        credit.set_price(shop.records, actor, "echo-1", None),
        credit.thaw(shop.records, actor),
    ):
        with pytest.raises(MissingScope):
            await verb
