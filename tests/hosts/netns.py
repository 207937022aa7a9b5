"""Network namespaces: this process, or one of its threads, as a machine of another network."""

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx

from tests.hosts.commands import run

_DIRECTORY: Final = Path("/run/netns")
_OWN: Final = Path("/proc/thread-self/ns/net")
_CLONE_NEWNET: Final = 0x40000000
_LIBC: Final = ctypes.CDLL(None, use_errno=True)


def path_of(name: str) -> Path:
    """The file that stands for a namespace."""
    return _DIRECTORY / name


def make(name: str) -> None:
    """Make one, with its own loopback and nothing else."""
    run("ip", "netns", "add", name)
    ip(name, "link", "set", "lo", "up")


def remove_all(lab: str) -> None:
    """Remove a lab's own and those of its hosts, with every interface in them."""
    for path in (*_DIRECTORY.glob(lab), *_DIRECTORY.glob(f"{lab}-*")):
        run("ip", "netns", "delete", path.name)


def ip(name: str, *arguments: str) -> str:
    """`ip` in a namespace."""
    return run("ip", "-n", name, *arguments)


def nft(name: str, rules: str) -> None:
    """Load rules of nftables in a namespace."""
    run(*prefix(name), "nft", "-f", "-", stdin=rules)


def prefix(name: str) -> tuple[str, ...]:
    """The beginning of a command that runs in a namespace; it keeps this machine's files."""
    return ("nsenter", f"--net={path_of(name)}")


@contextmanager
def inside(name: str) -> Iterator[None]:
    """Let this thread, and what it starts, be in a namespace within the block.

    A socket stays where it was made, also after the block.
    """
    own = os.open(_OWN, os.O_RDONLY)
    try:
        _enter(path_of(name))
        try:
            yield
        finally:
            _set(own)
    finally:
        os.close(own)


def _enter(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        _set(fd)
    finally:
        os.close(fd)


def _set(fd: int) -> None:
    if _LIBC.setns(fd, _CLONE_NEWNET):
        code = ctypes.get_errno()
        raise OSError(code, f"setns: {os.strerror(code)}")


class Transport(httpx.HTTPTransport):
    """HTTP whose connections are made in a namespace."""

    def __init__(self, name: str, **more: Any) -> None:
        super().__init__(**more)
        self._name = name

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        with inside(self._name):
            return super().handle_request(request)
