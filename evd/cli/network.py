"""The network as a whole: `evd run`, `up`, `down`, `status`, `logs` and `crash`."""

import argparse
import random
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from evd.adapters.http.central_client import CentralAway, CentralRefused
from evd.adapters.supervisor.protocol import Supervisor
from evd.cli.broker import KAFKA_READY_S, choose_broker
from evd.cli.command_line import Verbs, add_json, add_verb, answer, console, print_json, value_of
from evd.cli.cp import not_on
from evd.cli.errors import ToolFailed, is_standby, say, sentence_of
from evd.cli.follow import Tail, last_lines
from evd.cli.foreground import end_left_behind, run_in_foreground
from evd.cli.ports import refuse_taken
from evd.cli.programs import (
    READY_S,
    central_of,
    is_central_here,
    not_running,
    program_named,
    wait_until_none,
)
from evd.cli.reload import changes
from evd.cli.start_lock import changing, refuse_left_behind
from evd.cli.status import draw, take_snapshot
from evd.flags import whole

STOP_S_MAX: Final = 12.0
POLL_S: Final = 0.1
LINES: Final = whole(1, 1_000_000)


def add_verbs(verbs: Verbs) -> None:
    """Add the verbs for the network as a whole."""
    text = "start the network in the foreground and show its life; Ctrl-C stops it"
    add_verb(verbs, "run", text, _run)
    text = "start the network in the background, or what of it does not run"
    up = add_verb(verbs, "up", text, _up)
    up.add_argument(
        "--kafka",
        action=argparse.BooleanOptionalAction,
        help="from now on run on a node of Apache Kafka (make kafka), or again on evd-broker",
    )
    down = add_verb(verbs, "down", "stop the network; what was charged is kept", _down)
    for parser in (up, down):
        add_json(parser)
    text = "show every charging point, and what does not run"
    add_json(add_verb(verbs, "status", text, _status))
    logs = add_verb(verbs, "logs", "show what a program wrote", _logs)
    logs.add_argument("name", metavar="NAME", help="such as evd-engine:CP-001 or driver-alice")
    logs.add_argument(
        "-n",
        "--lines",
        type=value_of(LINES),
        default=40,
        metavar="N",
        help="default 40",
    )
    logs.add_argument("-f", "--follow", action="store_true", help="go on until Ctrl-C")
    crash = add_verb(verbs, "crash", "SIGKILL a process, a random one without NAME", _crash)
    crash.add_argument("name", metavar="NAME", nargs="?")
    add_json(crash)


def _run(supervisor: Supervisor, _: argparse.Namespace) -> int:
    return run_in_foreground(supervisor, console())


def _up(supervisor: Supervisor, options: argparse.Namespace) -> int:
    # The lock comes first: of several commands at once one starts it, the others find it running.
    with changing(supervisor):
        refuse_left_behind(supervisor)
        running = supervisor.pid() is not None
        on_kafka = choose_broker(supervisor, options.kafka)
        if not running:
            refuse_taken(supervisor.programs(), supervisor)
        supervisor.up()
    with_central = is_central_here(supervisor)

    def missing() -> list[str]:
        stopped = not_running(supervisor.status())
        failure = failure_of_central(supervisor)
        # One that stands by is up: another serves.
        if failure is not None and not is_standby(failure):
            return [*stopped, sentence_of(failure)]
        return stopped + not_on(supervisor)

    wait_until_none(missing, KAFKA_READY_S if on_kafka else READY_S, "more")
    changed = [*changes(supervisor.drift())]
    url = central_of(supervisor).url if with_central else None
    what = "All here is up" if url is None else f"The network is up: {url}"
    # The one that serves may have ended meanwhile: nothing is wrong here by that.
    failure = failure_of_central(supervisor)
    told = [] if failure is None else [sentence_of(failure)]
    answer(
        options,
        {"url": url, "logs": str(supervisor.log.parent), "changed": changed},
        f"{what}, {supervisor.logs_are}",
        *told,
        *(f"{sentence}. evd reload takes it up." for sentence in changed),
    )
    return 0


def failure_of_central(supervisor: Supervisor) -> CentralAway | CentralRefused | None:
    """The reason why Central can't serve; None where it does, or is none of the programs."""
    try:
        if is_central_here(supervisor):
            central_of(supervisor).health()
    except (CentralAway, CentralRefused) as error:
        return error
    return None


def _down(supervisor: Supervisor, options: argparse.Namespace) -> int:
    pid = supervisor.pid()
    if pid is None:
        count = end_left_behind(supervisor)
        told = "The network does not run."
        if count:
            told = f"supervisord had been killed; the {count} processes that it left were stopped."
        answer(options, {"was_running": bool(count)}, told)
        return 0
    supervisor.shut_down()
    end_s = time.monotonic() + STOP_S_MAX
    while not supervisor.has_ended(pid):
        if time.monotonic() > end_s:
            supervisor.end_at_once(pid)
            print(f"Not finished within {STOP_S_MAX:g} s: ended by force.", file=sys.stderr)
            return 1
        time.sleep(POLL_S)
    answer(options, {"was_running": True}, "The network is down. What was charged is kept.")
    return 0


def _status(supervisor: Supervisor, options: argparse.Namespace) -> int:
    snapshot = take_snapshot(supervisor)
    if options.json:
        print_json(snapshot.as_json())
    else:
        console().print(draw(snapshot))
    return 0 if snapshot.is_well else 1


def _logs(supervisor: Supervisor, options: argparse.Namespace) -> int:
    program = program_named(supervisor, options.name)
    paths = [path for path in (program.output_log, program.log) if path is not None]
    if not paths:
        for line in supervisor.journal(program.name, options.lines, follow=options.follow):
            print(line, flush=options.follow)
        return 0
    tails = [Tail(path) for path in paths]
    for path, tail in zip(paths, tails, strict=True):
        if len(paths) > 1:
            print(f"== {path}")
        tail.skip()
        for line in last_lines(path, options.lines):
            print(line)
    gone = _say_gone(paths, [])
    while options.follow:
        for tail in tails:
            for line in tail.lines():
                print(line, flush=True)
        gone = _say_gone(paths, gone)
        time.sleep(POLL_S)
    return 1 if gone else 0


def _say_gone(paths: Sequence[Path], told: Sequence[Path]) -> list[Path]:
    """The logs that are not there, each said once."""
    gone = [path for path in paths if not path.exists()]
    for path in gone:
        if path not in told:
            why = "is gone, or was never written: evd up opens it anew"
            say(f"{path} {why}.")
    return gone


def _crash(supervisor: Supervisor, options: argparse.Namespace) -> int:
    if options.name is not None:
        name = program_named(supervisor, options.name).name
    else:
        running = [each.name for each in supervisor.status() if each.pid is not None]
        if not running:
            raise ToolFailed("No process runs.")
        name = random.choice(running)
    pid = supervisor.kill(name)
    if options.json:
        print_json({"killed": name, "pid": pid})
    else:
        print(f"Killed {name} (process {pid}) with SIGKILL; its supervisor starts it again")
    return 0
