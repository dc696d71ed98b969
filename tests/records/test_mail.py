"""Mail: by SMTP where there is a server, else into the outbox, which the command line shows; never lost, never logged."""

import asyncio
import contextlib
import logging
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from email import message_from_string
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

import pytest
from click.testing import CliRunner

from parley.cli.outbox import command
from parley.core.clock import FakeClock
from parley.core.errors import Overloaded
from parley.infra import mail, smtp
from parley.infra.mail import Letter, MailRoom, mail_room
from tests.builders_records import settings_in

LETTER = Letter(to="ada@example.org", subject="Your code", text="Your code is 123456.\n")


def greet(connection: socket.socket) -> None:
    connection.sendall(b"220 here\r\n")


@contextmanager
def smtp_server(
    received: list[str], *, refuses: bool = False, greeting: Callable[[socket.socket], None] = greet
) -> Iterator[int]:
    """The least of a server: takes the message that comes, or refuses its sender. Ends with the context."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(10)

    def serve() -> None:
        connection, _ = listener.accept()
        with contextlib.suppress(ConnectionError), closing(connection), connection.makefile("rwb") as file:

            def say(line: str) -> None:
                file.write(line.encode() + b"\r\n")
                file.flush()

            greeting(connection)
            while line := file.readline().decode().strip():
                verb = line[:4].upper()
                if verb == "MAIL" and refuses:
                    say("550 no")
                elif verb == "DATA":
                    say("354 go on")
                    lines = []
                    while (text := file.readline()) not in {b".\r\n", b""}:
                        lines.append(text.decode())
                    received.append("".join(lines))
                    say("250 taken")
                elif verb == "QUIT":
                    say("221 bye")
                    return
                else:
                    say("250 ok")

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        thread.join(10)
        listener.close()


def post(room: MailRoom, letter: Letter, organization_id: str | None = None) -> None:
    with room.place(organization_id) as place:
        place.letter = letter


async def until_there_is_room(room: MailRoom) -> None:
    while True:
        with contextlib.suppress(Overloaded), room.place():
            return
        await asyncio.sleep(0.001)


async def posted(folder: Path, letter: Letter = LETTER, **settings: object) -> None:
    folder.mkdir(exist_ok=True)
    async with mail_room(settings_in(folder, **settings), folder / "outbox", FakeClock()) as room:
        post(room, letter)


def local(port: int) -> dict[str, object]:
    return {"smtp_host": "127.0.0.1", "smtp_port": port, "smtp_security": "none"}


def shown(folder: Path, *options: str) -> str:
    return CliRunner().invoke(command, ["--data", str(folder), *options]).output


async def test_without_a_server_a_letter_is_in_the_outbox_for_its_operator_alone(tmp_path: Path) -> None:
    await posted(tmp_path)
    assert (tmp_path / "outbox").stat().st_mode & 0o777 == 0o700
    assert [path.stat().st_mode & 0o777 for path in (tmp_path / "outbox").iterdir()] == [0o600]
    text = shown(tmp_path)
    for part in ("To: ada@example.org", "Subject: Your code", "Your code is 123456."):
        assert part in text
    assert "1 mails deleted" in shown(tmp_path, "--clear")
    assert "empty" in shown(tmp_path)


async def test_with_a_server_a_letter_goes_there_and_not_into_the_outbox(tmp_path: Path) -> None:
    received: list[str] = []
    with smtp_server(received) as port:
        await posted(tmp_path, smtp_host="127.0.0.1", smtp_port=port, smtp_security="none", mail_from="p@example.org")
    assert len(received) == 1
    assert "From: p@example.org" in received[0]
    assert "Your code is 123456." in received[0]
    assert not (tmp_path / "outbox").exists()


@pytest.mark.parametrize("is_there", [True, False])
async def test_a_letter_that_the_server_does_not_take_is_in_the_outbox_and_not_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, is_there: bool
) -> None:
    with caplog.at_level(logging.DEBUG):
        if is_there:
            with smtp_server([], refuses=True) as port:
                await posted(tmp_path, smtp_host="127.0.0.1", smtp_port=port, smtp_security="none")
        else:
            with socket.create_server(("127.0.0.1", 0)) as taken:
                port = taken.getsockname()[1]
            await posted(tmp_path, smtp_host="127.0.0.1", smtp_port=port, smtp_security="none")
    assert "Your code is 123456." in shown(tmp_path)
    assert "mail could not be sent" in caplog.text
    assert "123456" not in caplog.text
    assert "ada@" not in caplog.text


def trickle(connection: socket.socket) -> None:
    """A greeting of many lines that take their time, and is right in the end."""
    for _ in range(100):
        connection.sendall(b"220-wait\r\n")
        threading.Event().wait(0.02)
    greet(connection)


def flood(connection: socket.socket) -> None:
    """A greeting without measure, that is right in the end."""
    for _ in range(1000):
        connection.sendall(b"220-" + b"x" * 400 + b"\r\n")
    greet(connection)


@pytest.mark.parametrize("greeting", [trickle, flood])
async def test_a_server_that_takes_too_long_over_a_letter_or_says_too_much_does_not_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, greeting: Callable[[socket.socket], None]
) -> None:
    if greeting is trickle:
        monkeypatch.setattr(smtp, "LETTER_SECONDS", 0.2)
    received: list[str] = []
    with smtp_server(received, greeting=greeting) as port:
        await posted(tmp_path, **local(port))
    assert received == []
    assert "Your code is 123456." in shown(tmp_path)


async def test_a_server_that_stops_leaves_a_mail_server_that_keeps_it_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mail, "_CLOSING_SECONDS", 0.1)
    is_over = threading.Event()

    def drip(connection: socket.socket) -> None:
        while not is_over.wait(0.02):
            connection.sendall(b"2")
        connection.shutdown(socket.SHUT_RDWR)

    with smtp_server([], greeting=drip) as port:
        try:
            async with asyncio.timeout(30):
                await posted(tmp_path, **local(port))
        finally:
            is_over.set()
    assert "Your code is 123456." in shown(tmp_path)


@pytest.mark.parametrize("failure", [OSError(), UnicodeEncodeError("ascii", "ü", 0, 1, ""), KeyError()])
async def test_whatever_keeps_a_letter_from_being_sent_it_is_in_the_outbox(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    def carry(_: object, message: EmailMessage) -> None:
        raise failure

    monkeypatch.setattr(smtp.SmtpCarrier, "carry", carry)
    await posted(tmp_path, smtp_host="127.0.0.1")
    assert "Your code is 123456." in shown(tmp_path)


async def test_the_outbox_takes_every_alphabet(tmp_path: Path) -> None:
    letter = Letter(to="ada@example.org", subject="Bücher", text='You are invited to "Bücher 日本 🎉".\n')
    await posted(tmp_path, letter, mail_from="Bücher <p@example.org>")
    text = shown(tmp_path)
    assert "Subject: Bücher" in text
    assert 'You are invited to "Bücher 日本 🎉".' in text


@pytest.mark.parametrize("name", ["", "Parley ", '"Acme, Inc." ', "Bücher "])
async def test_mails_come_from_the_one_address_that_is_set(tmp_path: Path, name: str) -> None:
    received: list[str] = []
    with smtp_server(received) as port:
        await posted(tmp_path, **local(port), mail_from=f"{name}<p@example.org>")
    sent = message_from_string(received[0], policy=default)
    [sender] = sent["From"].addresses
    assert (sender.display_name, sender.addr_spec) == (name.strip(' "'), "p@example.org")
    assert re.fullmatch(r"<[^@<>]+@example\.org>", sent["Message-ID"])


async def test_the_oldest_mails_make_room_for_new_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mail, "_MAX_IN_OUTBOX", 3)
    async with mail_room(settings_in(tmp_path), tmp_path / "outbox", FakeClock()) as room:
        for num in range(5):
            post(room, Letter(to="ada@example.org", subject=f"number {num}", text="x"))
    text = shown(tmp_path)
    assert [num for num in range(5) if f"number {num}" in text] == [2, 3, 4]


async def test_too_many_letters_at_once_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mail, "_MAX_WAITING", 6)
    async with mail_room(settings_in(tmp_path), tmp_path / "outbox", FakeClock()) as room:
        for _ in range(3):
            post(room, LETTER)
        with pytest.raises(Overloaded):
            post(room, LETTER)


async def test_invites_leave_places_to_those_of_others_and_to_codes_and_resets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mail, "_MAX_WAITING", 20)
    async with mail_room(settings_in(tmp_path), tmp_path / "outbox", FakeClock()) as room:
        for organization_id in ("org-1", "org-2", "org-3", "org-4", "org-5"):
            post(room, LETTER, organization_id)
            post(room, LETTER, organization_id)
            with pytest.raises(Overloaded):
                post(room, LETTER, organization_id)
        with pytest.raises(Overloaded):
            post(room, LETTER, "org-6")
        for _ in range(10):
            post(room, LETTER)


async def test_a_code_is_carried_before_the_invites_that_wait(tmp_path: Path) -> None:
    async with mail_room(settings_in(tmp_path), tmp_path / "outbox", FakeClock()) as room:
        post(room, Letter(to="bob@example.org", subject="an invite", text="x"), "org-1")
        post(room, LETTER)
    text = shown(tmp_path)
    assert 0 < text.index("Your code") < text.index("an invite")


async def test_a_place_without_a_letter_and_one_whose_letter_went_are_free_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mail, "_MAX_WAITING", 2)
    folder = tmp_path / "outbox"
    async with mail_room(settings_in(tmp_path), folder, FakeClock()) as room:
        with room.place():
            pass
        with pytest.raises(ValueError, match="refused"), room.place():
            raise ValueError("refused")
        for _ in range(2):
            await until_there_is_room(room)
            post(room, LETTER)
    assert len(list(folder.iterdir())) == 2


async def test_a_server_that_stops_waits_for_a_mail_server_that_is_not_there_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = []

    def carry(_: object, message: EmailMessage) -> None:
        tried.append(message["Subject"])
        raise TimeoutError

    monkeypatch.setattr(smtp.SmtpCarrier, "carry", carry)
    async with mail_room(settings_in(tmp_path, smtp_host="127.0.0.1"), tmp_path / "outbox", FakeClock()) as room:
        for num in range(5):
            post(room, Letter(to="ada@example.org", subject=f"number {num}", text="x"))
    assert len(tried) == 1
    text = shown(tmp_path)
    assert all(f"number {num}" in text for num in range(5))


@pytest.mark.parametrize(
    "to", ["=?utf-8?q?=0aa?=@example.org", "=?utf-8?q?a=40evil.org=20?=@example.org", "no address"]
)
async def test_a_letter_that_cannot_be_written_is_left_out_and_those_behind_it_go(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, to: str
) -> None:
    async with mail_room(settings_in(tmp_path), tmp_path / "outbox", FakeClock()) as room:
        post(room, Letter(to=to, subject="Your code", text="Your code is 654321.\n"))
        post(room, LETTER)
    text = shown(tmp_path)
    assert "Your code is 123456." in text
    assert "654321" not in text
    assert "a letter could not be written" in caplog.text


async def test_what_others_chose_cannot_move_the_terminals_cursor(tmp_path: Path) -> None:
    async with mail_room(settings_in(tmp_path), tmp_path / "outbox", FakeClock()) as room:
        post(room, Letter(to="ada@example.org", subject="s", text="before\x1b[2Jafter\n"))
    text = shown(tmp_path)
    assert "\x1b" not in text
    assert "before[2Jafter" in text
