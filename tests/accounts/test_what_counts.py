"""After every change what counts in memory is what the database says, though only what the change concerns is read again."""

import random
from pathlib import Path

import pytest

from parley.domain.accounts.ring import Ring
from parley.domain.accounts.store import entrances, keys
from tests.builders_accounts import PASSWORD, Person, Town, town

OWN = "/v1/organization"
ROLES = ("viewer", "developer", "admin", "owner")
NUM_CHANGES = 120


@pytest.mark.parametrize("seed", range(4))
async def test_what_counts_is_what_a_fresh_start_would_let_count(tmp_path: Path, seed: int) -> None:
    async with town(tmp_path) as place:
        life = Life(place, random.Random(seed))
        await life.begin()
        for _ in range(NUM_CHANGES):
            what = await life.change()
            place.clock.advance(40)
            assert _shown(place.records.keys) == await _afresh(place), what


async def _afresh(place: Town) -> tuple[dict[bytes, object], dict[bytes, object]]:
    ring = Ring(b"another", place.clock)
    await place.records.database.read(
        lambda connection: ring.replace(
            None,
            place.records.accounts._standing(connection, None),
            keys.followed_keys(connection, place.clock.now()),
            entrances.all_sessions(connection),
        )
    )
    return _shown(ring)


def _shown(ring: Ring) -> tuple[dict[bytes, object], dict[bytes, object]]:
    return (
        {digest: principal for digest, (_, principal) in ring._keys.items()},
        {digest: found for digest, (_, found) in ring._sessions.items()},
    )


class Life:
    """What people do to an organization, in any order. What is refused is a change, too."""

    def __init__(self, place: Town, chance: random.Random) -> None:
        self.town = place
        self.chance = chance
        self.people: list[Person] = []
        self.emails: list[str] = []
        self.projects: list[str] = []
        self.keys: list[tuple[str, str]] = []
        self.accounts: list[tuple[str, str]] = []
        self.num = 0

    async def begin(self) -> None:
        boss = await self.town.sign_up("boss@acme.org")
        self.people.append(boss)
        self.emails.append("boss@acme.org")
        self.projects += [each["id"] for each in (await boss.call("GET", f"{OWN}/projects")).json()["data"]]

    async def change(self) -> str:
        self.num += 1
        verb = self.chance.choice(
            [
                self.join,
                self.set_role,
                self.set_project_role,
                self.leave_project,
                self.remove,
                self.log_in,
                self.make_project,
                self.make_project,
                self.archive,
                self.rename,
                self.make_key,
                self.make_key,
                self.make_admin_key,
                self.change_key,
                self.rotate,
                self.revoke,
                self.make_account,
                self.rename_account,
                self.make_account_key,
                self.delete_account,
                self.suspend,
            ]
        )
        status = await verb()
        return f"{self.num}: {verb.__name__} -> {status}"

    def somebody(self) -> Person:
        return self.chance.choice(self.people)

    def project(self) -> str:
        return self.chance.choice(self.projects)

    async def do(self, method: str, path: str, json: object = None) -> tuple[int, dict[str, object]]:
        # Mostly by the one who may.
        who = self.people[0] if self.chance.random() < 0.7 else self.somebody()
        reply = await who.call(method, f"{OWN}{path}", json)
        assert reply.status_code < 500, reply.text
        return reply.status_code, reply.json()

    async def join(self) -> int:
        if len(self.people) > 8:
            return 0
        email = f"p{self.num}@acme.org"
        some = self.chance.sample(self.projects, min(2, len(self.projects)))
        wanted = [{"id": each, "role": self.chance.choice(ROLES[:2])} for each in some]
        body = {"email": email, "role": self.chance.choice(ROLES), "projects": wanted}
        status, _ = await self.do("POST", "/invites", body)
        if status != 200:
            return status
        text = await self.town.mail_to(email)
        token = text.split("/invite#")[1].split()[0]
        entered = {"token": token, "password": PASSWORD}
        reply = await self.town.call("POST", "/v1/account/accept_invite", entered, key=None)
        if reply.status_code == 200:
            self.people.append(self.town.entered(reply))
            self.emails.append(email)
        return reply.status_code

    async def set_role(self) -> int:
        return (await self.do("POST", f"/users/{self.somebody().user_id}", {"role": self.chance.choice(ROLES)}))[0]

    async def set_project_role(self) -> int:
        who, path = self.somebody().user_id, f"/projects/{self.project()}/users"
        role = self.chance.choice(ROLES[:2])
        if self.chance.random() < 0.5:
            return (await self.do("POST", path, {"user_id": who, "role": role}))[0]
        return (await self.do("POST", f"{path}/{who}", {"role": role}))[0]

    async def leave_project(self) -> int:
        return (await self.do("DELETE", f"/projects/{self.project()}/users/{self.somebody().user_id}"))[0]

    async def remove(self) -> int:
        if self.chance.random() < 0.7:
            return 0
        return (await self.do("DELETE", f"/users/{self.somebody().user_id}"))[0]

    async def log_in(self) -> int:
        number = self.chance.randrange(len(self.people))
        body = {"email": self.emails[number], "password": PASSWORD}
        reply = await self.town.call("POST", "/v1/account/log_in", body, key=None)
        if reply.status_code == 200:
            self.people[number] = self.town.entered(reply)
        return reply.status_code

    async def make_project(self) -> int:
        status, body = await self.do("POST", "/projects", {"name": f"p{self.num}"})
        if status == 200:
            self.projects.append(str(body["id"]))
        return status

    async def archive(self) -> int:
        if len(self.projects) < 3:
            return 0
        return (await self.do("POST", f"/projects/{self.project()}/archive"))[0]

    async def rename(self) -> int:
        return (await self.do("POST", f"/projects/{self.project()}", {"name": f"n{self.num}"}))[0]

    async def make_key(self) -> int:
        project = self.project()
        status, body = await self.do("POST", f"/projects/{project}/api_keys", {"name": f"k{self.num}"})
        if status == 200:
            self.keys.append((project, str(body["id"])))
        return status

    async def make_admin_key(self) -> int:
        return (await self.do("POST", "/admin_api_keys", {"name": f"a{self.num}"}))[0]

    async def change_key(self) -> int:
        if not self.keys:
            return 0
        project, key = self.chance.choice(self.keys)
        fields = [{"scopes": ["read"]}, {"scopes": ["all"]}, {"models": ["echo-1"]}, {"name": f"n{self.num}"}]
        return (await self.do("POST", f"/projects/{project}/api_keys/{key}", self.chance.choice(fields)))[0]

    async def rotate(self) -> int:
        if not self.keys:
            return 0
        project, key = self.chance.choice(self.keys)
        overlap = {"overlap_seconds": self.chance.choice([0, 3_600])}
        status, body = await self.do("POST", f"/projects/{project}/api_keys/{key}/rotate", overlap)
        if status == 200:
            self.keys.append((project, str(body["id"])))
        return status

    async def revoke(self) -> int:
        if not self.keys:
            return 0
        project, key = self.chance.choice(self.keys)
        return (await self.do("DELETE", f"/projects/{project}/api_keys/{key}"))[0]

    async def make_account(self) -> int:
        project = self.project()
        status, body = await self.do("POST", f"/projects/{project}/service_accounts", {"name": f"s{self.num}"})
        if status == 200:
            self.accounts.append((project, str(body["id"])))
        return status

    async def rename_account(self) -> int:
        if not self.accounts:
            return 0
        project, account = self.chance.choice(self.accounts)
        path = f"/projects/{project}/service_accounts/{account}"
        return (await self.do("POST", path, {"name": f"r{self.num}"}))[0]

    async def make_account_key(self) -> int:
        if not self.accounts:
            return 0
        project, account = self.chance.choice(self.accounts)
        path = f"/projects/{project}/service_accounts/{account}/api_keys"
        status, body = await self.do("POST", path, {"scopes": [self.chance.choice(["all", "read", "chat"])]})
        if status == 200:
            self.keys.append((project, str(body["id"])))
        return status

    async def delete_account(self) -> int:
        if not self.accounts:
            return 0
        project, account = self.chance.choice(self.accounts)
        return (await self.do("DELETE", f"/projects/{project}/service_accounts/{account}"))[0]

    async def suspend(self) -> int:
        status = self.chance.choice(["active", "active", "suspended"])
        path = f"/v1/organizations/{self.people[0].organization_id}"
        return (await self.town.call("POST", path, {"status": status})).status_code
