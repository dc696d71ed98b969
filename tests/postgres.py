"""A PostgreSQL of the tests' own: a cluster in a temporary folder, on a unix socket only, gone with the test session."""

import os
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sqlalchemy import NullPool, create_engine

MISSING = "PostgreSQL is not installed (Debian: apt-get install postgresql); its half of these tests is left out"


def _program(name: str) -> str | None:
    """Debian keeps the server's programs off the path."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return str(found[-1]) if found else shutil.which(name)


def is_installed() -> bool:
    return _program("initdb") is not None and _program("postgres") is not None


@contextmanager
def running_cluster() -> Iterator[Path]:
    """The folder of the socket of a cluster that listens nowhere else; its user is `parley`."""
    folder = Path(tempfile.mkdtemp(prefix="parley-pg-", dir="/tmp"))
    # The server refuses to run as root, as whom some machines test.
    user = "postgres" if os.getuid() == 0 else None
    if user is not None:
        shutil.chown(folder, user)
    try:
        run = {"user": user, "cwd": folder, "env": {"PATH": "/usr/bin:/bin", "LC_ALL": "C"}}
        command = [_program("initdb"), "-D", str(folder / "data"), "-U", "parley", "-A", "trust", "-E", "UTF8"]
        subprocess.run([*command, "--no-sync"], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, **run)
        settings = {"listen_addresses": "", "unix_socket_directories": str(folder), "fsync": "off"}
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        log = (folder / "log").open("wb")
        server = subprocess.Popen(
            [_program("postgres"), "-D", str(folder / "data"), *options],
            stdout=log,
            stderr=log,
            **run,
        )
        try:
            _wait(folder, server)
            yield folder
        finally:
            # "Fast": connections are closed, nothing is waited for.
            server.send_signal(2)
            server.wait(20)
            log.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _wait(folder: Path, server: "subprocess.Popen[bytes]") -> None:
    ready = [_program("pg_isready") or "pg_isready", "-h", str(folder), "-U", "parley", "-d", "postgres", "-q"]
    for _ in range(200):
        if server.poll() is not None:
            raise RuntimeError((folder / "log").read_text(errors="replace"))
        if subprocess.run(ready, check=False).returncode == 0:
            return
        with suppress(subprocess.TimeoutExpired):
            server.wait(0.1)
    raise RuntimeError("PostgreSQL did not start")


def execute(url: str, statements: str) -> None:
    """What somebody does with psql while the server runs."""
    engine = create_engine("postgresql+psycopg" + url.removeprefix("postgresql"), poolclass=NullPool)
    with engine.begin() as connection:
        connection.exec_driver_sql(statements)


def end_sessions(url: str) -> None:
    """End every session of the database's, as a restart of the server does."""
    execute(
        url,
        "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()",
    )


def crash(folder: Path) -> None:
    """Have the server of a cluster end as it would without power, and start it again."""
    user = "postgres" if os.getuid() == 0 else None
    command = [_program("pg_ctl"), "-D", str(folder / "data"), "-w", "-m", "immediate", "restart"]
    options = f"-c listen_addresses= -c unix_socket_directories={folder}"
    output = subprocess.DEVNULL
    environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C"}
    subprocess.run(
        [*command, "-o", options], check=True, user=user, cwd=folder, stdout=output, stderr=output, env=environment
    )


def stop(folder: Path) -> None:
    """End a server that `crash` has started."""
    user = "postgres" if os.getuid() == 0 else None
    command = [_program("pg_ctl"), "-D", str(folder / "data"), "-w", "-m", "fast", "stop"]
    environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C"}
    subprocess.run(command, check=True, user=user, cwd=folder, stdout=subprocess.DEVNULL, env=environment)


class CuttingProxy:
    """A unix socket in front of the server that cuts one connection at its next COMMIT: before it, or before its answer."""

    def __init__(self, folder: Path, server: Path) -> None:
        self.folder = folder
        self._server = server
        self._cut: str | None = None
        self.num_cuts = 0
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(folder / ".s.PGSQL.5432"))
        self._listener.listen()
        self._open: list[socket.socket] = [self._listener]
        threading.Thread(target=self._accept, daemon=True).start()

    def cut_next(self, when: str) -> None:
        """`before`: the COMMIT never arrives; `after`: it is done and nobody hears of it."""
        self._cut = when

    def close(self) -> None:
        for connection in self._open:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(str(self._server / ".s.PGSQL.5432"))
                self._open += [client, server]
                threading.Thread(target=self._forward, args=(client, server, True), daemon=True).start()
                threading.Thread(target=self._forward, args=(server, client, False), daemon=True).start()

    def _forward(self, source: socket.socket, target: socket.socket, is_client: bool) -> None:
        with suppress(OSError):
            while part := source.recv(65_536):
                if is_client and self._cut is not None and b"COMMIT" in part:
                    when, self._cut = self._cut, None
                    self.num_cuts += 1
                    source.shutdown(socket.SHUT_RDWR)
                    if when == "after":
                        target.sendall(part)
                    break
                target.sendall(part)
            # Our half: the other one has what was sent before, and answers to nobody.
            target.shutdown(socket.SHUT_WR)
