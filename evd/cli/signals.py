"""Signals that end the tool: SIGTERM and a closed terminal count as Ctrl-C."""

import contextlib
import signal
from collections.abc import Iterator
from typing import Final

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
