"""A town: the real routes over real records in a folder, called in process; with the people, keys and mails that tests need."""

import asyncio
import email
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import default
from functools import partial
from pathlib import Path
from typing import Any

import httpx
from argon2 import PasswordHasher
from starlette.types import Message, Receive, Scope, Send

from parley.api.call import Platform, Services
from parley.api.open_requests import OpenRequests
from parley.api.repeats import Repeats
from parley.api.routes import route_table
from parley.api.stack import EdgeRules, build_stack
from parley.core.clock import FakeClock
from parley.core.engine import Engine
from parley.core.price import FREE, Price
from parley.domain.accounts.passwords import Passwords
from parley.operations.first_start import ensure_owner
from parley.operations.front_door import FrontDoor, SignUpRules
from parley.operations.last_used import following
from parley.operations.rate_limits import levels_of
from parley.operations.records import Records, open_records
from tests.builders_records import settings_in
from tests.builders_routes import BlankPage
from tests.builders_serving import Bench, make_bench, make_snapshot

PASSWORD = "correct horse battery"
# The least that argon2 accepts: what is tested is what comes of it.
CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


@dataclass
class Person:
    """Somebody who is logged in: calls as their browser does."""

    town: "Town"
    token: str
    csrf: str
    user_id: str
    organization_id: str

    async def call(self, method: str, path: str, json: Any = None, **headers: str) -> httpx.Response:
        cookie = {"cookie": f"parley_session={self.token}", "x-csrf-token": self.csrf}
        return await self.town.call(method, path, json, key=None, **(cookie | headers))


@dataclass
class Town:
    """What stands: `owner_key` is the operator's."""

    records: Records
    clock: FakeClock
    open_requests: OpenRequests
    client: httpx.AsyncClient
    owner_key: str
    outbox: Path
    bench: Bench

    async def call(
        self, method: str, path: str, json: Any = None, *, key: str | None = "owner", **headers: str
    ) -> httpx.Response:
        """One request, with the operator's key unless another is named; None: without."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if key is not None:
            sent["authorization"] = f"Bearer {self.owner_key if key == 'owner' else key}"
        return await self.client.request(method, path, json=json, headers=sent)

    async def ok(self, method: str, path: str, json: Any = None, **options: Any) -> Any:
        """The body of a request that must succeed."""
        reply = await self.call(method, path, json, **options)
        assert reply.status_code == 200, reply.text
        return reply.json()

    async def mail_to(self, address: str, *, num: int = 1) -> str:
        """The text of the newest mail to an address, once it has `num` of them."""
        for _ in range(500):
            texts = [_text(message) for message in self.mails() if message["To"] == address]
            if len(texts) >= num:
                return texts[-1]
            await asyncio.sleep(0.01)
        raise AssertionError(f"no mail came to {address}")

    def mails(self) -> list[EmailMessage]:
        paths = sorted(self.outbox.glob("*.eml")) if self.outbox.exists() else []
        return [email.message_from_bytes(path.read_bytes(), policy=default) for path in paths]

    async def sign_up(self, address: str, *, password: str = PASSWORD) -> Person:
        """A person with an organization of their own."""
        await self.ok("POST", "/v1/account/sign_up", {"email": address, "password": password}, key=None)
        code = re.search(r"\b(\d{6})\b", await self.mail_to(address)).group()
        reply = await self.call(
            "POST", "/v1/account/verify", {"email": address, "code": code, "password": password}, key=None
        )
        return self.entered(reply)

    async def join(
        self, address: str, role: str, *, projects: list[dict[str, str]] | None = None, by: Person | None = None
    ) -> Person:
        """A person who was invited into an organization: the operator's, or that of `by`."""
        body = {"email": address, "role": role, "projects": projects or []}
        invite = await (
            by.call("POST", "/v1/organization/invites", body)
            if by
            else self.call("POST", "/v1/organization/invites", body)
        )
        assert invite.status_code == 200, invite.text
        token = re.search(r"/invite#(\S+)", await self.mail_to(address)).group(1)
        reply = await self.call("POST", "/v1/account/accept_invite", {"token": token, "password": PASSWORD}, key=None)
        return self.entered(reply)

    def entered(self, reply: httpx.Response) -> Person:
        assert reply.status_code == 200, reply.text
        token = re.match(r"parley_session=([^;]+)", reply.headers["set-cookie"]).group(1)
        self.client.cookies.clear()
        body = reply.json()
        return Person(
            town=self,
            token=token,
            csrf=body["csrf_token"],
            user_id=body["user_id"],
            organization_id=body["organization"]["id"],
        )

    async def project_id(self, person: Person | None = None) -> str:
        """The oldest project of the operator's organization, or of a person's."""
        path = "/v1/organization/projects"
        reply = await (person.call("GET", path) if person else self.call("GET", path))
        return reply.json()["data"][0]["id"]

    async def new_key(self, person: Person | None = None, **fields: Any) -> dict[str, Any]:
        """A key of the oldest project, as the reply shows it once."""
        path = f"/v1/organization/projects/{await self.project_id(person)}/api_keys"
        body = {"name": "app"} | fields
        reply = await (person.call("POST", path, body) if person else self.call("POST", path, body))
        assert reply.status_code == 200, reply.text
        return reply.json()


@contextmanager
def told_of_parts(town: Town, tell: Callable[[bytes], Awaitable[None]]) -> Iterator[None]:
    """`tell` is called with each part of each reply when it was sent."""
    transport = town.client._transport
    app = transport.app

    async def telling(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_and_tell(message: Message) -> None:
            await send(message)
            if message["type"] == "http.response.body":
                await tell(message.get("body", b""))

        await app(scope, receive, send_and_tell)

    transport.app = telling
    yield
    transport.app = app


def _text(message: EmailMessage) -> str:
    return message.get_body(("plain",)).get_content()


@asynccontextmanager
async def town(
    folder: Path, *, engine: Engine | None = None, price: Price = FREE, **settings: Any
) -> AsyncIterator[Town]:
    """Open one in `folder`, where the model `echo-1` answers at this price. `settings` are the operator's."""
    chosen = settings_in(folder / "data", **settings)
    clock = FakeClock()
    async with AsyncExitStack() as stack:
        records = await stack.enter_async_context(open_records(chosen, clock))
        owner_key = await ensure_owner(records, None)
        platform = Platform(
            records=records,
            front_door=FrontDoor(records, Passwords(CHEAP), SignUpRules.of(chosen, "http://127.0.0.1:8000"), clock),
            last_used=await stack.enter_async_context(following(records)),
        )
        bench = make_bench(engine=engine, snapshots=[make_snapshot(price=price)], records=records)
        open_requests = OpenRequests()

        async def is_ready() -> bool:
            return open_requests.is_accepting

        loop = asyncio.get_running_loop()
        records.keys.watch(lambda callers: loop.call_soon_threadsafe(open_requests.end_those_of, callers) and None)
        app = build_stack(
            routes=route_table(is_ready=is_ready, page=BlankPage(), door=BlankPage()),
            services=Services(
                serving=bench.serving,
                catalog=records.catalog,
                clock=clock,
                platform=platform,
                repeats=Repeats(records.replies),
                levels_of=partial(levels_of, records),
            ),
            keys=records.keys,
            open_requests=open_requests,
            rules=EdgeRules(),
        )
        transport = httpx.ASGITransport(app=app)
        client = await stack.enter_async_context(httpx.AsyncClient(transport=transport, base_url="http://parley.test"))
        yield Town(
            records=records,
            clock=clock,
            open_requests=open_requests,
            client=client,
            owner_key=owner_key,
            outbox=records.folder.outbox_path,
            bench=bench,
        )
