"""Tasks of which the first to end ends them all: it, or a signal."""

import signal
from collections.abc import Awaitable, Callable

import trio

from evd.cli.errors import ToolFailed
from evd.cli.signals import heard


def run_until_ended(main: Callable[[], Awaitable[int]]) -> int:
    """Run `main` under Trio; the exit code.

    Signals are held back until `until_interrupted` hears them: one that comes before would be an
    exception in the midst of Trio.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, heard())
    return trio.run(main)


async def end_with_the_first(*tasks: Callable[[], Awaitable[int]]) -> int:
    """Run all at once; the exit code of the first that ends.

    Its failure is raised as it is, and not in a group.
    """
    codes: list[int] = []
    failures: list[Exception] = []
    async with trio.open_nursery() as nursery:

        async def run(task: Callable[[], Awaitable[int]]) -> None:
            try:
                codes.append(await task())
            except (OSError, ToolFailed) as error:
                failures.append(error)
            nursery.cancel_scope.cancel()

        for task in tasks:
            nursery.start_soon(run, task)
    for failure in failures:
        raise failure
    return codes[0]
