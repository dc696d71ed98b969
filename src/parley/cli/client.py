"""The command line as a client: finds the server and the key, sends a request or a file, yields the text of the streamed answer."""

import json
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from parley.cli.failures import CommandFailed, NoServer
from parley.infra.folder import DataFolder
from parley.infra.settings import Settings, load_client_settings, load_settings, server_url

# A first answer may wait for a model to load; after that, silence this long means that nothing comes any more.
_SILENCE_SECONDS = 300.0
_MAX_LINE_BYTES = 1 << 22
_OTHER_FOLDER = "if the server runs on another data folder, name it with --data or PARLEY_DATA"


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A server and the key to call it with."""

    url: str
    key: str


def find_server(*, url: str | None, key: str | None, data: Path | None) -> Server:
    """By flag, then environment, then what the data folder knows: where its server listens, and the owner's key."""
    said = load_client_settings()
    settings = load_settings({"data": data})
    named = url or said.url
    if named is not None and not named.startswith(("http://", "https://")):
        raise CommandFailed(f"{named} is no URL; begin the URL with http://")
    return Server(
        url=(named or _url_of_data_folder(settings)).rstrip("/").removesuffix("/v1"),
        key=key or said.api_key or _owner_key(settings),
    )


def _url_of_data_folder(settings: Settings) -> str:
    # The control socket brings the database's modules with it; most calls name their server and need none of them.
    from parley.api.platform.commands import ShowStatus  # noqa: PLC0415
    from parley.api.platform.control import ask  # noqa: PLC0415

    try:
        status = ask(DataFolder(settings.data).control_path, ShowStatus())
    except OSError:
        status = None
    if status is not None and status.url is not None:
        return status.url
    return server_url(settings.host, settings.port)


def _owner_key(settings: Settings) -> str:
    path = DataFolder(settings.data).owner_key_path
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        raise CommandFailed(
            f"no API key: {path} cannot be read; give one with --key or PARLEY_API_KEY, or start `parley serve` once; "
            f"{_OTHER_FOLDER}"
        ) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer that has begun. `weights` is what really answers (the header x-parley-model)."""

    model: str
    weights: str
    chunks: AsyncIterator[Mapping[str, Any]]


@asynccontextmanager
async def streamed(server: Server, path: str, body: Mapping[str, object]) -> AsyncIterator[Reply]:
    """Post a request and hold its streamed answer; leaving closes the connection, which stops the server's work on it.

    Raises CommandFailed when the body holds what is no text, and when the server cannot be reached, refuses, or fails midway.
    """
    try:
        sent = json.dumps({**body, "stream": True}, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise CommandFailed("the text is not valid UTF-8") from None
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=10.0, sock_read=_SILENCE_SECONDS)
    headers = {"Authorization": f"Bearer {server.key}", "Content-Type": "application/json"}
    with _reached(server):
        async with (
            aiohttp.ClientSession(timeout=timeout, headers=headers, read_bufsize=_MAX_LINE_BYTES) as session,
            session.post(f"{server.url}{path}", data=sent) as response,
        ):
            if response.status != 200:
                raise CommandFailed(await _refusal(response))
            yield Reply(
                model=str(body["model"]),
                weights=response.headers.get("x-parley-model", ""),
                chunks=_chunks(response),
            )


async def call(server: Server, method: str, path: str) -> Mapping[str, Any]:
    """Make one call without a body and return its JSON. Raises CommandFailed when the server cannot be reached or refuses."""
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=10.0, sock_read=_SILENCE_SECONDS)
    headers = {"Authorization": f"Bearer {server.key}"}
    with _reached(server):
        async with (
            aiohttp.ClientSession(timeout=timeout, headers=headers) as session,
            session.request(method, f"{server.url}{path}") as response,
        ):
            if response.status != 200:
                raise CommandFailed(await _refusal(response))
            try:
                answer = await response.json(content_type=None)
            except ValueError:
                raise CommandFailed("the server sent something that is not JSON; is it Parley?") from None
    if not isinstance(answer, dict):
        raise CommandFailed("the server sent something that is no answer; is it Parley?")
    return answer


async def upload(server: Server, path: str, fields: Mapping[str, str], file: Path) -> str:
    """Post a form with a file and return the reply's text. Raises CommandFailed when the server cannot be reached or refuses."""
    async with _uploaded(server, path, fields, file) as response:
        return await response.text()


async def upload_streamed(
    server: Server, path: str, fields: Mapping[str, str], file: Path
) -> AsyncGenerator[str, None]:
    """As `upload`, the pieces of a transcript as they come; also raises CommandFailed when the server fails midway."""
    async with (
        _uploaded(server, path, {**fields, "stream": "true"}, file) as response,
        aclosing(_chunks(response)) as events,
    ):
        async for event in events:
            match event.get("type"):
                case "transcript.text.delta":
                    yield str(event["delta"])
                case "transcript.text.done":
                    return


@asynccontextmanager
async def _uploaded(
    server: Server, path: str, fields: Mapping[str, str], file: Path
) -> AsyncIterator[aiohttp.ClientResponse]:
    # Hearing may say nothing until its end.
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=10.0)
    headers = {"Authorization": f"Bearer {server.key}"}
    form = aiohttp.FormData(dict(fields))
    try:
        opened = file.open("rb")
    except OSError as error:
        raise CommandFailed(f"{file} cannot be read: {error.strerror}") from None
    with _reached(server), opened:
        form.add_field("file", opened, filename=file.name)
        async with (
            aiohttp.ClientSession(timeout=timeout, headers=headers, read_bufsize=_MAX_LINE_BYTES) as session,
            session.post(f"{server.url}{path}", data=form) as response,
        ):
            if response.status != 200:
                raise CommandFailed(await _refusal(response))
            yield response


@contextmanager
def _reached(server: Server) -> Iterator[None]:
    """Turn what can go wrong between here and the server into one line."""
    try:
        yield
    except (aiohttp.ClientConnectorError, aiohttp.InvalidURL, aiohttp.ServerTimeoutError):
        raise NoServer(
            f"no server answers at {server.url}; start one with `parley serve`, or name it with --url or PARLEY_URL; "
            f"{_OTHER_FOLDER}"
        ) from None
    except (aiohttp.ClientError, TimeoutError) as error:
        raise NoServer(f"the connection to {server.url} broke: {error}") from None


async def _chunks(response: aiohttp.ClientResponse) -> AsyncGenerator[Mapping[str, Any], None]:
    """The JSON of each frame of the stream, up to its `[DONE]`."""
    async for line in response.content:
        if not line.startswith(b"data:"):
            continue
        frame = line.removeprefix(b"data:").strip()
        if frame == b"[DONE]":
            return
        try:
            chunk = json.loads(frame)
        except ValueError:
            raise CommandFailed("the server sent something that is not JSON; is it Parley?") from None
        if "error" in chunk:
            raise CommandFailed(str(chunk["error"].get("message", "the server failed")))
        yield chunk
    raise CommandFailed("the answer ended before it was complete")


async def _refusal(response: aiohttp.ClientResponse) -> str:
    text = await response.text(errors="replace")
    try:
        message = str(json.loads(text)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        message = f"HTTP {response.status} that is not an answer of Parley"
    request_id = response.headers.get("x-request-id")
    return " ".join(message.split()) + (f" ({request_id})" if request_id else "")
