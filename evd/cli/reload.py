"""`evd reload`: takes up what changed in the network's files, and restarts that alone."""

import argparse
import sys
import time
from collections.abc import Iterator
from typing import Final, TextIO

import attrs

from evd.adapters.http.central_client import CentralAway, CentralRefused
from evd.adapters.supervisor.protocol import ProcessState, Supervisor, Sync
from evd.cli.command_line import Verbs, add_json, add_verb, answer
from evd.cli.cp import not_on
from evd.cli.errors import ToolFailed
from evd.cli.ports import double_use, given_twice, settings
from evd.cli.programs import (
    CENTRAL,
    ENGINE,
    MONITOR,
    POLL_S,
    READY_S,
    central_of,
    config_of,
    fetch,
    names_for,
    not_running,
    wait_until_none,
)
from evd.cli.signals import INTERRUPTED
from evd.cli.start_lock import changing
from evd.config import EngineConfig
from evd.core.wire.messages import CpState

_SENTENCES: Final = {
    "added": "defined, but not known to the supervisor",
    "removed": "no longer defined, but still listed",
    "orphaned": "running, though nothing defines it any more",
    "changed": "running as it was before its file or its release changed",
    "logless": "writing to a log whose file is gone",
}
_SUPPLIES: Final = f'evd_engine_state{{state="{CpState.SUPPLYING}"}} 1.0'.encode()


def add_verbs(verbs: Verbs) -> None:
    """Add `reload`."""
    text = "take up what changed in the files, and restart that alone, an engine after its session"
    parser = add_verb(verbs, "reload", text, _reload)
    parser.add_argument("name", metavar="NAME", nargs="?", help="such as driver-alice or CP-001")
    parser.add_argument("--now", action="store_true", help="end sessions, do not wait for them")
    add_json(parser)


def changes(drift: Sync) -> Iterator[str]:
    """A sentence without its full stop for each way in which the files and what runs differ."""
    for kind, sentence in _SENTENCES.items():
        if names := getattr(drift, kind):
            yield f"{', '.join(names)}: {sentence}"


def _reload(supervisor: Supervisor, options: argparse.Namespace) -> int:
    told_to = sys.stderr if options.json else None
    done = take_up_changes(supervisor, options.name, now=options.now, told_to=told_to)
    lines = [f"{how} {name}" for name, how in done.items()]
    answer(options, {"done": done}, *(lines or ["Nothing has changed."]))
    return 0


def take_up_changes(
    supervisor: Supervisor, given: str | None, *, now: bool, told_to: TextIO | None = None
) -> dict[str, str]:
    """Take up the changes of all programs, or of those that `given` means; the deed for each.

    An engine's session is waited for, unless it is to be `now`.
    """
    done: dict[str, str] = {}
    told: frozenset[str] = frozenset()
    while True:
        with changing(supervisor):
            busy = _take_up(supervisor, given, now, done)
        if not busy:
            break
        if news := busy.keys() - told:
            whys = ", ".join(f"{name} {busy[name]}" for name in sorted(news))
            print(
                f"{whys}: restarted once its session has ended (at once: evd reload --now)",
                file=told_to,
                flush=True,
            )
        told = frozenset(busy)
        try:
            while all(_why_busy(supervisor, name) for name in busy):
                time.sleep(POLL_S)
        except KeyboardInterrupt:
            names = ", ".join(sorted(busy))
            raise ToolFailed(f"Interrupted: {names} was not restarted.", INTERRUPTED) from None
    _wait_until_well(supervisor, done)
    return done


def _take_up(
    supervisor: Supervisor, given: str | None, now: bool, done: dict[str, str]
) -> dict[str, str]:
    """Take up all that can be taken up now, and note it in `done`; those that wait, with why."""
    running = {each.name for each in supervisor.status() if each.state is not ProcessState.STOPPED}
    drift = _only(supervisor, given)
    _refuse_wrong(supervisor, drift)
    stops = [name for name in (*drift.changed, *drift.orphaned) if name in running]
    busy = {
        name: why
        for name in (() if now else stops)
        if name.startswith(f"{ENGINE}:") and (why := _why_busy(supervisor, name))
    }
    # A monitor that went to the engine's new port before it would take the old one for dead.
    waiting = busy.keys() | {name.replace(ENGINE, MONITOR, 1) for name in busy}
    # Monitors first: none sees its engine's end as a fault.
    stops = sorted((each for each in stops if each not in waiting), reverse=True)
    drifted = {each for names in attrs.astuple(drift) for each in names}
    try:
        supervisor.stop(stops)
        supervisor.sync(sorted(drifted - waiting))
    finally:
        supervisor.start(sorted(name for name in drift.changed if name in stops))
    for how, names in (
        ("Restarted", [each for each in drift.changed if each in stops]),
        ("Taken up, and still stopped:", [each for each in drift.changed if each not in running]),
        ("Stopped", [*drift.removed, *drift.orphaned]),
        ("Started", drift.added),
        ("Opened anew the log of", drift.logless),
    ):
        for name in names:
            if name not in waiting:
                done.setdefault(name, how)
    return busy


def _only(supervisor: Supervisor, given: str | None) -> Sync:
    """The drift of the programs that `given` means, of all of them where it is None."""
    drift = supervisor.drift()
    if given is None:
        return drift
    known = {each.name for each in supervisor.programs()}
    known |= {each.name for each in supervisor.status()}
    meant = {name for name in known if given in names_for(name)}
    if not meant:
        raise ToolFailed(f"There is no program {given!r}. There are {', '.join(sorted(known))}.", 2)
    found = attrs.asdict(drift)
    return Sync(**{kind: tuple(each for each in found[kind] if each in meant) for kind in found})


def _refuse_wrong(supervisor: Supervisor, drift: Sync) -> None:
    """ToolFailed, before anything is stopped, where a program could not start with its settings."""
    programs = supervisor.programs()
    for program in programs:
        if program.name in drift.changed or program.name in drift.added:
            config_of(program)
    for pair in given_twice(programs):
        raise ToolFailed(f"{double_use(*pair)}: change {settings(*pair, supervisor)}.")


def _why_busy(supervisor: Supervisor, name: str) -> str:
    """Why an engine should not be stopped now, empty where it has no session."""
    cp_id = name.partition(":")[2]
    if all(each.pid is None for each in supervisor.status() if each.name == name):
        return ""
    try:
        view = central_of(supervisor).charging_point(cp_id)
        return "charges" if view is not None and view["current_session"] is not None else ""
    except (CentralAway, CentralRefused):
        page = _metrics_of(supervisor, name)
    if page is None:
        return "may charge: neither Central nor the engine says whether"
    return "charges" if _SUPPLIES in page.splitlines() else ""


def _metrics_of(supervisor: Supervisor, name: str) -> bytes | None:
    for program in supervisor.programs():
        config = config_of(program) if program.name == name else None
        if isinstance(config, EngineConfig) and config.metrics_port:
            answer = fetch(supervisor, config, "/metrics")
            return answer.body if answer is not None else None
    return None


def _wait_until_well(supervisor: Supervisor, done: dict[str, str]) -> None:
    """Return once what was started runs, and its charging points are ON; ToolFailed if not."""
    names = {name for name, how in done.items() if how in ("Restarted", "Started")}
    parts = [each.partition(":") for each in sorted(names)]
    cp_ids = [*dict.fromkeys(cp_id for group, _, cp_id in parts if group in (ENGINE, MONITOR))]

    def missing() -> list[str]:
        stopped = not_running(each for each in supervisor.status() if each.name in names)
        return stopped + (not_on(supervisor, cp_ids) if cp_ids or CENTRAL in names else [])

    wait_until_none(missing, READY_S, "why")
