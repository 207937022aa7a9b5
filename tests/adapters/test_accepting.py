"""Accepting many connections in one go, and going on after a failure."""

import errno
import socket
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from typing import Any

import pytest
import trio

from evd.adapters.accepting import ACCEPTED_MAX, BurstListener

HOST = "127.0.0.1"
# Trio's own loop has two turns for what comes in.
TURNS_MAX = 5


@asynccontextmanager
async def with_clients(count: int) -> AsyncIterator[BurstListener]:
    """A listener where so many connections wait."""
    (inner,) = await trio.open_tcp_listeners(0, host=HOST)
    port = inner.socket.getsockname()[1]
    async with BurstListener(inner) as listener:
        with ExitStack() as clients:
            for _ in range(count):
                clients.enter_context(socket.create_connection((HOST, port)))
            yield listener


async def test_all_that_wait_are_taken_in_one_go() -> None:
    """Proves: a burst of monitors after a restart does not wait a turn of the loop for each."""
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            await trio.lowlevel.checkpoint()
            turns += 1

    async with with_clients(ACCEPTED_MAX) as listener, trio.open_nursery() as nursery:
        nursery.start_soon(count_turns)
        with trio.fail_after(10):
            streams = [await listener.accept() for _ in range(ACCEPTED_MAX)]
        assert turns <= TURNS_MAX
        for stream in streams:
            await stream.aclose()
        nursery.cancel_scope.cancel()


def let_fail(numbers: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the next accepts fail with these errors, one after the other."""
    accept = socket.socket.accept

    def fail(listening: socket.socket) -> Any:
        if numbers:
            raise OSError(numbers.pop(0), "out of order")
        return accept(listening)

    monkeypatch.setattr(socket.socket, "accept", fail)


async def test_a_client_that_left_already_hides_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Proves: a connection that is over before it was accepted costs the next ones nothing."""
    async with with_clients(2) as listener:
        let_fail([errno.ECONNABORTED, errno.EPROTO], monkeypatch)
        with trio.fail_after(10):
            for _ in range(2):
                await (await listener.accept()).aclose()


async def test_a_shortage_of_files_is_raised_and_loses_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Proves: who waits when this process has no file left is accepted once there is one."""
    async with with_clients(2) as listener:
        let_fail([errno.EMFILE], monkeypatch)
        with trio.fail_after(10):
            with pytest.raises(OSError, match="out of order"):
                await listener.accept()
            for _ in range(2):
                await (await listener.accept()).aclose()
