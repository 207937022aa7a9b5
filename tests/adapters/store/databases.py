"""Empty databases for tests: a new SQLite file, or a new one of a PostgreSQL server of our own."""

import itertools
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.network.certificates import Certificates

START_TIMEOUT_S = 20.0
_USER = "evd"
_INITDB = ("--auth=trust", "--no-sync", "-E", "UTF8")
_numbers = itertools.count()
# Each server has the usual port, at an address of its own.
_addresses: dict[Path, str] = {}


def _program(name: str) -> str | None:
    versions = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), reverse=True)
    return str(versions[0]) if versions else shutil.which(name)


class PostgresServer:
    """A server on a socket in `directory`, and on a loopback `address` of ours."""

    def __init__(self, directory: Path, certificates: Certificates | None) -> None:
        """Make its files; with `certificates` its address speaks TLS alone, with one of them, and
        wants passwords."""
        self.directory = directory
        # It refuses to run as root, and cannot enter pytest's own directories.
        self._user = "postgres" if os.geteuid() == 0 else None
        if self._user is not None:
            shutil.chown(directory, self._user)
        data = directory / "data"
        quiet = subprocess.DEVNULL
        make: list[Any] = [_program("initdb"), "-D", data, "-U", _USER, *_INITDB]
        subprocess.run(make, user=self._user, cwd=directory, stdout=quiet, check=True)
        pid = os.getpid()
        self.address = f"127.{1 + len(_addresses)}.{pid >> 8 & 255}.{pid & 255}"
        _addresses[directory] = self.address
        # Nobody reads these files after a power cut: flushing them would only make its stop slow.
        settings = ["fsync=off", f"listen_addresses={self.address}"]
        settings.append(f"unix_socket_directories={directory}")
        if certificates is not None:
            settings += _secured(directory, data, certificates, self.address, self._user)
        self._command: list[Any] = [_program("postgres"), "-D", data]
        self._command += [part for setting in settings for part in ("-c", setting)]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and return when it answers."""
        quiet = subprocess.DEVNULL
        self._process = subprocess.Popen(
            self._command, user=self._user, cwd=self.directory, stdout=quiet, stderr=quiet
        )
        _wait_until_ready(self.directory)

    def stop(self, number: int = signal.SIGTERM) -> None:
        """Stop it, and wait: SIGTERM once all its clients have left, SIGINT at once, SIGQUIT as in
        a crash."""
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(START_TIMEOUT_S)


def why_no_postgres() -> str:
    """Why there can be no server on this machine; empty where there can."""
    if _program("initdb") and _program("postgres"):
        return ""
    return "needs a PostgreSQL server: apt install postgresql"


@contextmanager
def open_postgres(certificates: Certificates | None = None) -> Iterator[PostgresServer]:
    """A server that answers, see PostgresServer; nothing of it is left at the end of the block."""
    directory = Path(tempfile.mkdtemp(prefix="evd-postgres-"))
    server = PostgresServer(directory, certificates)
    try:
        server.start()
        yield server
    finally:
        server.stop(signal.SIGINT)
        shutil.rmtree(directory)


@contextmanager
def postgres_server(certificates: Certificates | None = None) -> Iterator[Path]:
    """The directory of a server for a test, which is left out where there can be none."""
    if why := why_no_postgres():
        pytest.skip(why)
    with open_postgres(certificates) as server:
        yield server.directory


def _secured(
    directory: Path, data: Path, certificates: Certificates, address: str, user: str | None
) -> list[str]:
    """Settings of a server that lets in by TLS and a password, and here on its socket as before."""
    certificates.issue(address)
    files = directory / "server.crt", directory / "server.key"
    for source, file in zip((certificates.cert, certificates.key), files, strict=True):
        file.touch(0o600)
        file.write_bytes(source.read_bytes())
        if user is not None:
            shutil.chown(file, user)
    (data / "pg_hba.conf").write_text(
        "local all all trust\nhostssl all all 127.0.0.0/8 scram-sha-256\n"
    )
    return ["ssl=on", f"ssl_cert_file={files[0]}", f"ssl_key_file={files[1]}"]


def _wait_until_ready(directory: Path) -> None:
    deadline_s = time.monotonic() + START_TIMEOUT_S
    while True:
        try:
            connect(directory, "postgres").close()
            return
        except psycopg.OperationalError:
            if time.monotonic() > deadline_s:
                raise
            time.sleep(0.05)


def connect(directory: Path, name: str) -> "psycopg.Connection[tuple[object, ...]]":
    """A connection as an operator has it."""
    return psycopg.connect(host=str(directory), dbname=name, user=_USER, autocommit=True)


def url_of(path: Path) -> str:
    """The --db-url of an SQLite file."""
    return f"sqlite:///{path}"


def python(program: str, *arguments: str) -> "subprocess.Popen[bytes]":
    """A process that runs `program`."""
    return subprocess.Popen([sys.executable, "-c", program, *arguments], stdout=subprocess.PIPE)


def new_postgres_user(directory: Path, password: str) -> tuple[str, str]:
    """A new user with a password and an empty database of the same name; that name and the address
    of the server."""
    name = f"central_{next(_numbers)}"
    with connect(directory, "postgres") as connection:
        connection.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{password}'")
        connection.execute(f"CREATE DATABASE {name} OWNER {name}")
    return name, _addresses[directory]


def new_postgres_url(directory: Path, *, by_tcp: bool = False) -> str:
    """The URL of a new empty database."""
    name = f"central_{next(_numbers)}"
    with connect(directory, "postgres") as connection:
        connection.execute(f"CREATE DATABASE {name}")
    if by_tcp:
        return f"postgresql+psycopg://{_USER}@{_addresses[directory]}/{name}"
    return f"postgresql+psycopg://{_USER}@/{name}?host={directory}"


def cut_connections(directory: Path, url: str) -> None:
    """End every connection to the database, as a restart of the server does."""
    name = url.partition("?")[0].rpartition("/")[2]
    with connect(directory, "postgres") as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 2000) FROM pg_stat_activity WHERE datname = %s",
            (name,),
        )
