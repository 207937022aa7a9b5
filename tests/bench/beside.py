"""Clients beside what is measured, in processes of their own: their work is not Central's."""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tests.network.processes import CHECKOUT

Process = subprocess.Popen[str]


@contextmanager
def crowd_on(port: int, clients: int, *, niceness: int = 0) -> Iterator[Process]:
    """So many clients of a WebSocket, all of which have had a first message."""
    with started("tests.bench.crowd", port, clients, niceness=niceness) as crowd:
        expect(crowd, "READY")
        yield crowd


@contextmanager
def readers_of(url: str, paths: Sequence[str], *, niceness: int = 0) -> Iterator[None]:
    """A reader of each of these pages of `url`, once a second, each of which has read it once."""
    with started("tests.bench.readers", url, *paths, niceness=niceness) as readers:
        expect(readers, "READY")
        yield
        if readers.poll() is not None:
            raise RuntimeError(f"{readers.args!r} ended with {readers.returncode}")


@contextmanager
def started(module: str, *arguments: object, niceness: int = 0) -> Iterator[Process]:
    """A module that runs until the end of the block."""
    argv = ["nice", f"-n{niceness}", sys.executable, "-m", module, *map(str, arguments)]
    with subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=CHECKOUT
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def expect(process: Process, word: str) -> None:
    """Wait for the line that says it; RuntimeError where another comes."""
    if process.stdout is None or process.stdout.readline() != f"{word}\n":
        raise RuntimeError(f"{process.args!r} did not say {word}")
