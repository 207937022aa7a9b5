"""The bound of a wait: true to the second on a quiet machine, and fair on a busy one."""

import subprocess

from tests.network.cpu_line import spent_s, stood_s, watch
from tests.network.waiting import STARVED_S_MAX, Bound, wait_until


class Machine:
    """A clock, and programs that stand in line for a CPU."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.stood_s = {1: 7.0, 2: 30.0}

    def bound(self, within_s: float) -> Bound:
        return Bound(within_s, lambda: self.now_s, lambda: dict(self.stood_s))


def test_a_wait_ends_to_the_second_where_nobody_stood_in_line() -> None:
    """Proves: time in line of before the wait is none of it."""
    machine = Machine()
    bound = machine.bound(10.0)
    machine.now_s += 9.9
    assert not bound.is_over()
    machine.now_s += 0.1
    assert bound.is_over()


def test_a_program_that_got_no_cpu_is_waited_for() -> None:
    """Proves: a wait is longer by what one program stood in line, one that was started meanwhile
    too; not by what several stood beside each other, and never by more than the bound of that."""
    machine = Machine()
    bound = machine.bound(10.0)
    machine.now_s += 17.0
    machine.stood_s = {1: 14.0, 2: 34.0, 3: 7.5}
    assert not bound.is_over()
    machine.now_s += 0.5
    assert bound.is_over()
    machine.now_s += STARVED_S_MAX
    machine.stood_s[3] = STARVED_S_MAX + 100.0
    assert bound.is_over()


def test_the_kernel_counts_for_a_program_that_runs() -> None:
    """Proves: a real process has its time on a CPU, and counts no more once it has ended."""
    with subprocess.Popen(["sleep", "60"]) as process:
        watch(process)
        # The kernel counts a program's first time on a CPU when it leaves it.
        wait_until(lambda: (spent_s(process.pid) or (0.0, 0.0))[0] > 0.0, 10.0)
        had_s, waited_s = spent_s(process.pid) or (0.0, -1.0)
        assert 0.0 < had_s < 60.0
        assert stood_s()[process.pid] >= waited_s >= 0.0
        process.kill()
    assert process.pid not in stood_s()
