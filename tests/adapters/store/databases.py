"""Empty databases for tests: a new SQLite file, or a new one of a PostgreSQL server of our own."""

import itertools
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from tests.network.certificates import Certificates

START_TIMEOUT_S = 20.0
_USER = "evd"
_numbers = itertools.count()
# Each server has the usual port, at an address of its own.
_addresses: dict[Path, str] = {}


def _program(name: str) -> str | None:
    versions = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), reverse=True)
    return str(versions[0]) if versions else shutil.which(name)


@contextmanager
def postgres_server(certificates: Certificates | None = None) -> Iterator[Path]:
    """A server on a socket in the directory that is yielded, and on a loopback address of ours.

    With `certificates` that address speaks TLS alone, with one of them, and wants passwords.
    """
    initdb, postgres = _program("initdb"), _program("postgres")
    if initdb is None or postgres is None:
        pytest.skip("needs a PostgreSQL server: apt install postgresql")
    # It refuses to run as root, and cannot enter pytest's own directories.
    user = "postgres" if os.geteuid() == 0 else None
    directory = Path(tempfile.mkdtemp(prefix="evd-postgres-"))
    if user is not None:
        shutil.chown(directory, user)
    data = directory / "data"
    quiet = subprocess.DEVNULL
    subprocess.run(
        [initdb, "-D", data, "-U", _USER, "--auth=trust", "--no-sync", "-E", "UTF8"],
        user=user,
        cwd=directory,
        stdout=quiet,
        check=True,
    )
    address = f"127.{1 + len(_addresses)}.{os.getpid() >> 8 & 255}.{os.getpid() & 255}"
    _addresses[directory] = address
    # Nobody reads these files after a power cut: flushing them would only make its stop slow.
    settings = ["fsync=off", f"listen_addresses={address}", f"unix_socket_directories={directory}"]
    if certificates is not None:
        settings += _secured(directory, data, certificates, address, user)
    flags = [part for setting in settings for part in ("-c", setting)]
    server = subprocess.Popen(
        [postgres, "-D", data, *flags], user=user, cwd=directory, stdout=quiet, stderr=quiet
    )
    try:
        _wait_until_ready(directory)
        yield directory
    finally:
        server.terminate()
        server.wait(START_TIMEOUT_S)
        shutil.rmtree(directory)


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
