"""Accepting many connections in one go, and going on after a failure."""

import errno
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from functools import partial
from typing import Any

import pytest
import trio
import trio.testing

from evd.adapters.accepting import ACCEPTED_MAX, BurstListener, accept_each

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


async def test_a_port_that_nobody_calls_lacks_no_files(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Proves: while a process has no free file, a port says so only where somebody calls it, and
    then serves that one."""
    (listener,) = await trio.open_tcp_listeners(0, host=HOST)
    port, served = listener.socket.getsockname()[1], trio.Event()

    async def serve(stream: trio.SocketStream) -> None:
        async with stream:
            served.set()

    accept_there, failures = trio.SocketListener.accept, [errno.EMFILE] * 2

    async def accept_without_files(self: trio.SocketListener) -> trio.SocketStream:
        if failures:
            raise OSError(failures.pop(), "out of files")
        return await accept_there(self)

    monkeypatch.setattr(trio.SocketListener, "accept", accept_without_files)
    async with trio.open_nursery() as nursery:
        logger = logging.getLogger("evd.test")
        accept = partial(accept_each, what="connections", logger=logger)
        nursery.start_soon(accept, listener, serve, nursery)
        await trio.testing.wait_all_tasks_blocked()
        assert caplog.messages == []
        with socket.create_connection((HOST, port)), trio.fail_after(10):
            await served.wait()
        nursery.cancel_scope.cancel()
    assert caplog.messages == ["No connections can be accepted: out of files"]
