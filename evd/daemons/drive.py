"""The way from a program's steps to Trio.

A program's `steps.py` is a generator: it yields one thing to do after the other (a read, a save,
something to say) and is sent what came of it.  So the order stands in one place, and the
simulation runs the same generator on its own clock.
"""

from collections.abc import Awaitable, Callable, Generator
from typing import TypeVar

StepT = TypeVar("StepT")
OutcomeT = TypeVar("OutcomeT")
ResultT = TypeVar("ResultT")


async def drive(
    steps: Generator[StepT, OutcomeT | None, ResultT],
    carry_out: Callable[[StepT], Awaitable[OutcomeT | None]],
) -> ResultT:
    """Carry out each step of `steps` in turn, and return what the generator returns.

    An exception of `carry_out` is not thrown into `steps`: it ends them, as a crash would.
    """
    outcome: OutcomeT | None = None
    while True:
        try:
            step = steps.send(outcome)
        except StopIteration as end:
            result: ResultT = end.value
            return result
        outcome = await carry_out(step)
