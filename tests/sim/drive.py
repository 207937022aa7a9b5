"""The way from a program's steps to the simulation: that of the daemons, without their waiting."""

from collections.abc import Callable, Generator
from typing import TypeVar

from evd.daemons.drive import drive as drive_waiting

StepT = TypeVar("StepT")
OutcomeT = TypeVar("OutcomeT")
ResultT = TypeVar("ResultT")


def drive(
    steps: Generator[StepT, OutcomeT | None, ResultT],
    carry_out: Callable[[StepT], OutcomeT | None],
) -> ResultT:
    """Carry out all of `steps` at one moment; an exception of `carry_out` ends them."""

    async def at_once(step: StepT) -> OutcomeT | None:
        return carry_out(step)

    try:
        drive_waiting(steps, at_once).send(None)
    except StopIteration as end:
        result: ResultT = end.value
        return result
    raise AssertionError("a step waited, and nobody goes on with it")
