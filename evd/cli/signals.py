"""Signals that end the tool: SIGTERM and a closed terminal count as Ctrl-C."""

import contextlib
import signal
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import trio

INTERRUPTED: Final = 130
_AS_CTRL_C: Final = (signal.SIGTERM, signal.SIGHUP)


def listen() -> None:
    """Let them raise KeyboardInterrupt; one that is ignored, as under nohup, stays ignored."""
    for number in _AS_CTRL_C:
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, signal.default_int_handler)


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Ignore a second Ctrl-C during the block, which is short."""
    before = {}
    # Only the main thread is ever interrupted, and only it may set a handler.
    with contextlib.suppress(ValueError):
        for number in (signal.SIGINT, *_AS_CTRL_C):
            before[number] = signal.signal(number, signal.SIG_IGN)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def heard() -> list[signal.Signals]:
    """They and Ctrl-C, but for those that are ignored."""
    return [
        number
        for number in (signal.SIGINT, *_AS_CTRL_C)
        if signal.getsignal(number) is not signal.SIG_IGN
    ]


async def until_interrupted(code: int) -> int:
    """Return `code` once one of them or Ctrl-C comes, or came while they were held back."""
    # Loaded late: most verbs need no Trio.
    import trio

    numbers = heard()
    if not numbers:
        await trio.sleep_forever()
    with trio.open_signal_receiver(*numbers) as signals:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)
        async for _ in signals:
            break
    return code


@contextlib.asynccontextmanager
async def stop_then_end() -> "AsyncIterator[trio.Event]":
    """The event that the first of them sets; the second ends the block."""
    import trio

    stopping = trio.Event()
    numbers = heard()

    async def listen_for(scope: trio.CancelScope) -> None:
        with trio.open_signal_receiver(*numbers) as signals:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)
            async for _ in signals:
                if stopping.is_set():
                    scope.cancel()
                stopping.set()

    async with trio.open_nursery() as nursery:
        if numbers:
            nursery.start_soon(listen_for, nursery.cancel_scope)
        yield stopping
        nursery.cancel_scope.cancel()
