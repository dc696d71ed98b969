"""What is fetched and what is not: addresses inside, long chains, other schemes, and where the token goes."""

import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest
from yarl import URL

from parley.infra.fetch import ConnectionLost, Fetcher, FetchFailed
from tests.builders_pull import TOKEN, FakeHub, Fault, fake_hub, fetcher_for


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    with fake_hub({"files/bare": {"m.gguf": b"GGUF"}}) as hub:
        yield hub


@pytest.fixture
def canary() -> Iterator[socket.socket]:
    """A listener inside that nobody may connect to."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.setblocking(False)
        yield listener


def nobody_came(canary: socket.socket) -> bool:
    try:
        canary.accept()
    except BlockingIOError:
        return True
    return False


def spellings(port: int) -> list[str]:
    """Ways to write this machine, and places near it, into a URL."""
    hosts = [
        *("127.0.0.1", "127.1", "127.0.1", "2130706433", "0x7f000001", "0x7f.0.0.1", "0177.0.0.1", "017700000001"),
        *("0.0.0.0", "0", "localhost", "LOCALHOST", "localhost.", "127.0.0.1.", "127.127.127.127"),
        *("[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[0:0:0:0:0:0:0:1]", "[::127.0.0.1]"),
        *("[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[fe80::1]", "[fec0::1]", "[fd00:ec2::254]"),
        *("10.0.0.1", "172.16.0.1", "192.168.0.1", "169.254.169.254", "100.100.100.200", "192.0.0.192"),
        *("１２７.０.０.１", "127。0。0。1", "ⓛocalhost"),  # noqa: RUF001 - other ways to write it
    ]
    forms = (
        "{host}:{port}/x",
        "{host}:{port}",
        "user@{host}:{port}/x",
        "public.example@{host}:{port}/x",
        "{host}:{port}\\@public.example/x",
        "{host}:{port}#@public.example/x",
    )
    return [
        f"{scheme}://" + form.format(host=host, port=port)
        for scheme in ("https", "http")
        for form in forms
        for host in hosts
    ]


async def test_h1_h4_no_spelling_of_an_address_inside_is_connected_to(hub: FakeHub, canary: socket.socket) -> None:
    urls = spellings(canary.getsockname()[1])
    assert len(urls) > 300
    async with fetcher_for(hub, token=TOKEN) as fetcher:
        for url in urls:
            with pytest.raises(FetchFailed):
                async with fetcher.get(url):
                    pass
    assert nobody_came(canary)
    assert hub.requests == []


async def test_h2_a_redirect_to_an_address_inside_is_not_followed(hub: FakeHub, canary: socket.socket) -> None:
    port = canary.getsockname()[1]
    for scheme in ("http", "https"):
        hub.faults = [Fault(location=f"{scheme}://127.0.0.1:{port}/")]
        async with fetcher_for(hub) as fetcher:
            with pytest.raises(FetchFailed, match=r"is not https|leads inside"):
                async with fetcher.get(f"{hub.url}/files/m.gguf"):
                    pass
    assert nobody_came(canary)


@pytest.mark.parametrize("num_redirects", range(1, 12))
async def test_h2_three_redirects_are_followed_and_no_more(hub: FakeHub, num_redirects: int) -> None:
    hub.faults = [Fault(location="/files/m.gguf")] * num_redirects
    async with fetcher_for(hub) as fetcher:
        if num_redirects <= 3:
            async with fetcher.get(f"{hub.url}/files/m.gguf") as response:
                assert await response.read() == b"GGUF"
        else:
            with pytest.raises(FetchFailed, match="one redirect too many"):
                async with fetcher.get(f"{hub.url}/files/m.gguf"):
                    pass
    assert len(hub.requests) == min(num_redirects, 3) + 1


@pytest.mark.parametrize("location", ["ftp://h/x", "file:///etc/passwd", "http://[", "https://u:p@h/", "javascript:1"])
async def test_h2_a_redirect_to_something_else_than_the_web_is_not_followed(hub: FakeHub, location: str) -> None:
    hub.faults = [Fault(location=location)]
    async with fetcher_for(hub) as fetcher:
        with pytest.raises(FetchFailed):
            async with fetcher.get(f"{hub.url}/files/m.gguf"):
                pass
    assert len(hub.requests) == 1


async def test_h3_a_name_is_judged_by_the_address_that_is_dialled(
    hub: FakeHub, canary: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that would resolve to a public address first and to one inside afterwards gets one resolution, and that is dialled."""
    answers = []

    def resolve(host: str, port: int, *_: object, **__: object) -> list[tuple[object, ...]]:
        answers.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    async with fetcher_for(hub) as fetcher:
        with pytest.raises(FetchFailed, match=r"leads inside: 127.0.0.1 is not a public address"):
            async with fetcher.get(f"https://rebinding.example:{canary.getsockname()[1]}/"):
                pass
    assert answers == ["rebinding.example"]
    assert nobody_came(canary)


async def test_h6_the_token_goes_to_the_hub_and_to_no_other_origin(hub: FakeHub) -> None:
    with fake_hub({"files/bare": {"m.gguf": b"GGUF"}}) as other:
        hub.faults = [Fault(location=f"{other.url}/files/m.gguf")]
        async with fetcher_for(hub, token=TOKEN) as fetcher:
            with pytest.raises(FetchFailed):
                async with fetcher.get(f"{hub.url}/files/m.gguf"):
                    pass
            with pytest.raises(FetchFailed):
                async with fetcher.get(f"{other.url}/files/m.gguf"):
                    pass
        assert hub.requests[0][2]["authorization"] == f"Bearer {TOKEN}"
        assert other.requests == []


class Scripted:
    """Stands for a session: answers each URL as it is told, and notes with which headers it was asked."""

    def __init__(self, locations: dict[str, str]) -> None:
        self.locations = locations
        self.asked: list[tuple[str, dict[str, str]]] = []

    @asynccontextmanager
    async def get(self, url: URL, *, headers: dict[str, str], allow_redirects: bool) -> AsyncIterator[SimpleNamespace]:
        assert not allow_redirects
        self.asked.append((str(url), headers))
        location = self.locations.get(str(url))
        sent = {} if location is None else {"Location": location}
        yield SimpleNamespace(status=302 if location else 200, headers=sent, close=lambda: None, url=url)


async def test_h6_a_chain_that_left_the_hub_does_not_come_back_with_the_token() -> None:
    """Whoever is redirected to may name a private file of the operator's as the next place."""
    async with Fetcher(trusted="https://hub.example", token=TOKEN) as fetcher:
        trusted = Scripted({"https://hub.example/a": "https://cdn.example/b"})
        public = Scripted({"https://cdn.example/b": "https://hub.example/private"})
        fetcher._sessions = {True: trusted, False: public}
        async with fetcher.get("https://hub.example/a") as response:
            assert str(response.url) == "https://hub.example/private"
    assert trusted.asked == [("https://hub.example/a", {"Authorization": f"Bearer {TOKEN}"})]
    assert public.asked == [("https://cdn.example/b", {}), ("https://hub.example/private", {})]


async def test_h2_a_redirect_from_https_to_http_is_not_followed() -> None:
    async with Fetcher(trusted="https://hub.example") as fetcher:
        trusted, public = Scripted({"https://hub.example/a": "http://cdn.example/b"}), Scripted({})
        fetcher._sessions = {True: trusted, False: public}
        with pytest.raises(FetchFailed, match=r"http://cdn.example/b is not https"):
            async with fetcher.get("https://hub.example/a"):
                pass
    assert public.asked == []


async def test_a_url_with_a_password_is_refused_and_the_password_not_repeated() -> None:
    async with Fetcher(trusted="https://hub.example") as fetcher:
        trusted = Scripted({})
        fetcher._sessions = {True: trusted, False: trusted}
        for url in ("https://user:pass-w0rd@hub.example/a", "https://public.example@hub.example/"):
            with pytest.raises(FetchFailed, match="a user or a password") as refused:
                async with fetcher.get(url):
                    pass
            assert "pass-w0rd" not in str(refused.value)
    assert trusted.asked == []


async def test_h6_a_token_is_not_sent_in_the_clear_across_a_network() -> None:
    with pytest.raises(FetchFailed, match="that is not https"):
        Fetcher(trusted="http://hub.example", token=TOKEN)


async def test_what_cannot_be_reached_is_said_in_one_line(hub: FakeHub) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        async with Fetcher(trusted=url) as fetcher:
            with pytest.raises(ConnectionLost, match=r"^127.0.0.1 cannot be reached: is there a network\?$"):
                async with fetcher.get(url):
                    pass


async def test_without_a_network_a_name_is_not_known(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    def resolve(*_: object, **__: object) -> list[tuple[object, ...]]:
        raise socket.gaierror(-3, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    async with fetcher_for(hub) as fetcher:
        with pytest.raises(ConnectionLost, match=r"^hub.example is not known here: is there a network\?$"):
            async with fetcher.get("https://hub.example/"):
                pass


async def test_a_secret_in_a_url_is_not_repeated(hub: FakeHub) -> None:
    async with fetcher_for(hub) as fetcher:
        with pytest.raises(FetchFailed) as refused:
            async with fetcher.get("https://127.0.0.1:1/x?signature=s3cret"):
                pass
    assert "s3cret" not in str(refused.value)
