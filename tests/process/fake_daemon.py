"""A daemon that does nothing but begin and end, in the way that its first argument names.

`python -m tests.process.fake_daemon WAY [flags of evd-engine]`
"""

import atexit
import logging
import os
import sys
import time
from collections.abc import Awaitable, Callable

import trio

from evd.config import EngineConfig, engine_config
from evd.daemons import lifecycle
from evd.daemons.lifecycle import Lifecycle, listen, run_program

FOREVER_S = 3600

Way = Callable[[EngineConfig, Lifecycle], Awaitable[int | None]]


async def stops_when_told(_: EngineConfig, life: Lifecycle) -> None:
    """Work until told, as every daemon should."""
    life.status("at work\nand well")
    life.ready()
    logging.getLogger(__name__).debug("at work")
    await life.stopping.wait()


async def returns(_: EngineConfig, life: Lifecycle) -> None:
    """End by itself, as after a SHUTDOWN."""
    life.stop("SHUTDOWN")


async def returns_a_code(_: EngineConfig, __: Lifecycle) -> int:
    """End by itself with a code of its own."""
    return 7


async def crashes(_: EngineConfig, life: Lifecycle) -> None:
    """Fail in a task, as a bug would."""

    async def fail() -> None:
        raise ZeroDivisionError("meter")

    async with trio.open_nursery() as nursery:
        life.ready()
        nursery.start_soon(fail)


async def binds(config: EngineConfig, life: Lifecycle) -> None:
    """Bind the health port."""
    async with trio.open_nursery():
        await listen("--health-port", config.health_host, config.health_port)
        life.ready()
        await life.stopping.wait()


async def ignores(_: EngineConfig, life: Lifecycle) -> None:
    """Never look whether it should stop, but be cancellable."""
    life.ready()
    await trio.sleep(FOREVER_S)


async def shields(_: EngineConfig, life: Lifecycle) -> None:
    """Refuse to be cancelled, as a send that is shielded does."""
    life.ready()
    with trio.CancelScope(shield=True):
        await trio.sleep(FOREVER_S)


async def blocks(_: EngineConfig, life: Lifecycle) -> None:
    """Stop its own loop once it is told to stop."""
    life.ready()
    await life.stopping.wait()
    time.sleep(FOREVER_S)  # noqa: ASYNC251


async def hangs(_: EngineConfig, life: Lifecycle) -> None:
    """Stop its own loop while it should be working."""
    life.ready()
    time.sleep(FOREVER_S)  # noqa: ASYNC251


async def loads(_: EngineConfig, life: Lifecycle) -> None:
    """Take its time before it is ready, in its loop, as an import does."""
    await trio.sleep(0.3)
    life.ready()
    await life.stopping.wait()


async def works(_: EngineConfig, life: Lifecycle) -> None:
    """Say what it does, and turn until its loop is stuck though Trio's goes on."""
    began_s = trio.current_time()
    life.ready(lambda: "at work", lambda: trio.current_time() - began_s > 1.0)
    await life.stopping.wait()


async def lingers(_: EngineConfig, life: Lifecycle) -> None:
    """Stop as it should, and leave a library behind that hangs at the interpreter's end."""
    atexit.register(time.sleep, FOREVER_S)
    life.ready()
    await life.stopping.wait()


def shorten_the_bounds() -> None:
    """Bound a stop so tightly that a test of each bound costs a second or two."""
    lifecycle.GRACE_S = 0.3
    lifecycle.HARD_END_S = 1.0
    lifecycle.LAST_END_S = 2.0


if __name__ == "__main__":
    way: Way = globals()[sys.argv.pop(1)]
    if "EVD_TEST_SHORT_STOP" in os.environ:
        shorten_the_bounds()
    run_program(engine_config, way)
