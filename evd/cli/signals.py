"""What ends the tool from outside: SIGTERM and a closed terminal count as Ctrl-C."""

import contextlib
import signal
from collections.abc import Iterator
from typing import Final

INTERRUPTED: Final = 130
_AS_CTRL_C: Final = (signal.SIGTERM, signal.SIGHUP)


def listen() -> None:
    """From now on they raise KeyboardInterrupt; what is ignored, as under nohup, stays so."""
    for number in _AS_CTRL_C:
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, signal.default_int_handler)


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """For the block, which is short, nobody's second Ctrl-C interrupts."""
    before = {}
    # Only the main thread is ever interrupted, and only it may say so.
    with contextlib.suppress(ValueError):
        for number in (signal.SIGINT, *_AS_CTRL_C):
            before[number] = signal.signal(number, signal.SIG_IGN)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
