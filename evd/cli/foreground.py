"""`evd run`: the whole network in the foreground, for as long as the command runs.

The network ends with the command: within STOP_S_MAX of a signal, and after its sudden death by the
signal that the supervisor then gets.  A supervisor that dies ends it too: the processes that it
leaves behind are stopped.
"""

import signal
import subprocess
import time
from collections.abc import Sequence
from types import FrameType
from typing import Final

import attrs
from rich.console import Console

from evd.adapters.supervisor.processes import LAST_S, send
from evd.adapters.supervisor.protocol import Program, Supervisor, SupervisorFailed
from evd.cli.errors import ToolFailed, say
from evd.cli.follow import LogFollower
from evd.cli.ports import refuse_taken
from evd.cli.programs import central_of, config_of, feeds_of
from evd.cli.start_lock import starting
from evd.config import DriverConfig

STOP_S_MAX: Final = 9.0
# The time that the processes of a dead supervisor have to stop.
LEFT_BEHIND_S: Final = 6.0
LOOK_S: Final = 0.1
# New charging points and drivers are looked for this often.
RESCAN_S: Final = 2.0
STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@attrs.define
class Stop:
    """The wish of somebody that it ends."""

    asked: bool = False
    at_once: bool = False
    _asked_s: float = 0.0

    def listen(self) -> None:
        """Take the signals; a second one, not the same keystroke, means: at once."""
        for number in STOP_SIGNALS:
            signal.signal(number, self._receive)

    def _receive(self, _: int, __: FrameType | None) -> None:
        now_s = time.monotonic()
        self.at_once = self.asked and now_s - self._asked_s > 1.0
        self._asked_s = self._asked_s if self.asked else now_s
        self.asked = True


def run_in_foreground(supervisor: Supervisor, console: Console) -> int:
    """Start everything, show its life, and stop everything; the exit code."""
    stop = Stop()
    stop.listen()
    with starting(supervisor):
        programs = supervisor.programs()
        refuse_taken(programs, supervisor)
        follower = LogFollower(console)
        follower.follow(programs, from_now=True)
        child = supervisor.launch()
    try:
        _print_addresses(supervisor, programs, console)
        _watch(supervisor, child, follower, stop)
    finally:
        _stop(supervisor, child, stop, console)
        end_left_behind(supervisor)
    follower.show()
    console.print("Stopped. What was charged is kept: the next start goes on from there.")
    return 0


def _print_addresses(supervisor: Supervisor, programs: Sequence[Program], console: Console) -> None:
    lines = [("Dashboard", central_of(supervisor).url), ("Feed", feeds_of(supervisor)[0])]
    for program in programs:
        config = config_of(program)
        if isinstance(config, DriverConfig) and config.http_port:
            lines.append((config.driver_id, f"http://{config.http_host}:{config.http_port}"))
    lines += [
        ("Logs", str(supervisor.log.parent)),
        ("State", str(supervisor.var)),
        ("Try", "in another terminal: .venv/bin/evd request driver-carol any"),
        ("Stop", "Ctrl-C"),
    ]
    for name, where in lines:
        console.print(f"{name:<13} {where}", highlight=False, soft_wrap=True)


def _watch(
    supervisor: Supervisor, child: "subprocess.Popen[bytes]", follower: LogFollower, stop: Stop
) -> None:
    scanned_s = time.monotonic()
    told = ""
    while not stop.asked:
        if child.poll() is not None:
            # 0: `evd down` in another terminal.
            if child.returncode == 0:
                return
            raise ToolFailed(
                f"supervisord ended by itself, and with it the network: see {supervisor.log}."
            )
        follower.show()
        if time.monotonic() - scanned_s > RESCAN_S:
            scanned_s = time.monotonic()
            try:
                follower.follow(supervisor.programs(), from_now=False)
                told = ""
            except SupervisorFailed as error:
                # A file that somebody is just writing stops nothing that runs.
                if str(error) != told:
                    told = str(error)
                    say(told)
        time.sleep(LOOK_S)


def _stop(
    supervisor: Supervisor, child: "subprocess.Popen[bytes]", stop: Stop, console: Console
) -> None:
    if child.poll() is not None:
        return
    console.print("Stopping …")
    end_s = time.monotonic() + STOP_S_MAX
    try:
        supervisor.shut_down()
    except SupervisorFailed:
        child.terminate()
    while child.poll() is None:
        if stop.at_once or time.monotonic() > end_s:
            supervisor.end_at_once(child.pid)
            child.wait()
            return
        time.sleep(0.05)


def end_left_behind(supervisor: Supervisor) -> int:
    """Stop what a killed supervisor left running, by force if it takes too long; how many."""
    found = supervisor.left_behind()
    for number, patience_s in ((signal.SIGTERM, LEFT_BEHIND_S), (signal.SIGKILL, LAST_S)):
        end_s = time.monotonic() + patience_s
        for pid in supervisor.left_behind():
            send(pid, number)
        while time.monotonic() < end_s and supervisor.left_behind():
            time.sleep(0.05)
    return len(found)
