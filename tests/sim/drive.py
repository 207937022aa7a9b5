"""The way from a program's steps to the simulation, as `evd.daemons.drive` is the way to Trio."""

from collections.abc import Callable, Generator
from typing import TypeVar

StepT = TypeVar("StepT")
OutcomeT = TypeVar("OutcomeT")
ResultT = TypeVar("ResultT")


def drive(
    steps: Generator[StepT, OutcomeT | None, ResultT],
    carry_out: Callable[[StepT], OutcomeT | None],
) -> ResultT:
    """Carry out all of `steps` at one moment; an exception of `carry_out` ends them."""
    outcome: OutcomeT | None = None
    while True:
        try:
            step = steps.send(outcome)
        except StopIteration as end:
            result: ResultT = end.value
            return result
        outcome = carry_out(step)
