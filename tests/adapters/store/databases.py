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

START_TIMEOUT_S = 20.0
_USER = "evd"
_numbers = itertools.count()
# Each server has the usual port, at an address of its own.
_addresses: dict[Path, str] = {}


def _program(name: str) -> str | None:
    versions = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), reverse=True)
    return str(versions[0]) if versions else shutil.which(name)


@contextmanager
def postgres_server() -> Iterator[Path]:
    """A server on a socket in the directory that is yielded, and on a loopback address of ours."""
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
    settings = ("fsync=off", f"listen_addresses={address}", f"unix_socket_directories={directory}")
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


def new_postgres_url(directory: Path, *, by_tcp: bool = False) -> str:
    """The URL of a new empty database."""
    name = f"central_{next(_numbers)}"
    with connect(directory, "postgres") as connection:
        connection.execute(f"CREATE DATABASE {name}")
    if by_tcp:
        return f"postgresql+psycopg://{_USER}@{_addresses[directory]}/{name}"
    return f"postgresql+psycopg://{_USER}@/{name}?host={directory}"
