"""Lists that change while somebody turns their pages: nothing comes twice, and a page behind nothing is refused."""

import pytest

from tests.accounts.test_official_administration import official
from tests.builders_accounts import Town

HOUSE = "/v1/organization"


@pytest.mark.parametrize("what", ["keys", "admin keys", "projects"])
async def test_what_ends_while_a_list_is_read_page_by_page_keeps_its_place(town: Town, what: str) -> None:
    house, project_id = official(town), await town.project_id()
    # What the first start made is the oldest, and none of it ends here.
    town.clock.advance(1)
    for number in range(9):
        if what == "keys":
            await town.new_key(name=f"k{number}")
        elif what == "admin keys":
            await house.admin_api_keys.create(name=f"a{number}", extra_body={"scopes": ["admin"]})
        else:
            await house.projects.create(name=f"p{number}")
    lists = {
        "keys": lambda: house.projects.api_keys.list(project_id, limit=4),
        "admin keys": lambda: house.admin_api_keys.list(limit=4),
        "projects": lambda: house.projects.list(limit=4),
    }
    there = [found.id async for found in lists[what]()]
    read = []
    async for found in lists[what]():
        read.append(found.id)
        # The last one of each page, so that the next page begins behind what ended.
        if len(read) % 4 == 0:
            if what == "keys":
                await house.projects.api_keys.delete(found.id, project_id=project_id)
            elif what == "admin keys":
                await house.admin_api_keys.delete(found.id)
            else:
                await house.projects.archive(found.id)
    assert read == there
    assert len([found.id async for found in lists[what]()]) == len(there) - len(there) // 4


async def test_a_page_behind_what_is_not_in_the_list_is_refused_whosever_it_is(town: Town) -> None:
    ada = await town.sign_up("ada@example.org")
    project = f"{HOUSE}/projects/{await town.project_id()}"
    invite = await town.ok("POST", f"{HOUSE}/invites", {"email": "late@example.org", "role": "reader"})
    await town.ok("DELETE", f"{HOUSE}/invites/{invite['id']}")
    account = await town.ok("POST", f"{project}/service_accounts", {"name": "bot"})
    await town.ok("DELETE", f"{project}/service_accounts/{account['id']}")
    gone = await town.join("gone@example.org", "reader")
    await town.ok("DELETE", f"{HOUSE}/users/{gone.user_id}")
    others = (await town.new_key(ada))["id"]
    noted = (await ada.call("GET", f"{HOUSE}/audit_logs")).json()["data"][0]["id"]
    lists = {
        f"{HOUSE}/invites": invite["id"],
        f"{project}/service_accounts": account["id"],
        f"{HOUSE}/users": gone.user_id,
        f"{project}/users": gone.user_id,
        f"{project}/api_keys": others,
        f"{HOUSE}/admin_api_keys": others,
        f"{HOUSE}/projects": await town.project_id(ada),
        f"{HOUSE}/audit_logs": noted,
        f"{HOUSE}/audit_logs/export": noted,
        "/v1/organizations": "org-nobody",
    }
    for path, cursor in lists.items():
        replies = [await town.call("GET", f"{path}?after={name}") for name in (cursor, "made-up")]
        assert [reply.status_code for reply in replies] == [400, 400], path
        assert replies[0].json() == replies[1].json()
        assert (replies[0].json()["error"]["param"], replies[0].json()["error"]["code"]) == ("after", "invalid_value")
    before = await town.call("GET", f"{HOUSE}/audit_logs?before={noted}")
    assert (before.status_code, before.json()["error"]["param"]) == (400, "before")
