"""`evd doctor`: finds what is not as it should be, and says what to do about it."""

import argparse
import contextlib
import json
import os
import re
import shutil
import socket
import time
from collections.abc import Collection, Iterator, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from evd.adapters.http.central_client import Central, CentralAway, CentralRefused
from evd.adapters.supervisor.protocol import (
    ProcessState,
    ProcessStatus,
    Program,
    Supervisor,
    SupervisorFailed,
)
from evd.addresses import host_and_port
from evd.cli.centrals import centrals
from evd.cli.command_line import Verbs, add_json, add_verb, print_json
from evd.cli.doctor_access import callers, certificates, open_ports
from evd.cli.errors import ToolFailed, is_standby, sentence_of
from evd.cli.finding import Finding
from evd.cli.follow import last_lines
from evd.cli.ports import (
    clients,
    describe_holder,
    double_use,
    endpoints,
    given_twice,
    holder,
    is_free,
    settings,
)
from evd.cli.programs import (
    BROKER,
    CENTRAL,
    KAFKA,
    MONITOR,
    Config,
    central_of,
    config_of,
    fetch,
    settings_of_central,
)
from evd.cli.reload import changes
from evd.config import CentralConfig, MetricsConfig, StatefulConfig

# A process that was started more often than this in a minute does not stay up.
STARTS_MAX: Final = 3
FLAPPING_S: Final = 60
# A process that has just been started is not asked before that.
SETTLED_S: Final = 5.0
DISK_BYTES_MIN: Final = 200_000_000
CLOCK_S_MAX: Final = 5.0
IDLE_S: Final = 2.0
# The most that Central lists at once.
SESSIONS_MAX: Final = 1000
PAGES_MAX: Final = 100

# A metric without labels, as Prometheus' text has it.
_METRIC: Final = re.compile(r"^(evd_\w+) (\S+)$", re.MULTILINE)


def add_verbs(verbs: Verbs) -> None:
    """Add `doctor`."""
    text = "say what is not as it should be, and what to do; 1 if so"
    add_json(add_verb(verbs, "doctor", text, _doctor))


def _doctor(supervisor: Supervisor, options: argparse.Namespace) -> int:
    findings = examine(supervisor, supervisor.var)
    if options.json:
        print_json([{"what": each.what, "remedy": each.remedy} for each in findings])
    elif not findings:
        print("Everything is as it should be.")
    else:
        for each in findings:
            print(f"{each.what}\n    {each.remedy}")
    return 1 if findings else 0


def examine(supervisor: Supervisor, var: Path) -> list[Finding]:
    """All findings, causes before their consequences."""
    findings = [*_disk(var)]
    try:
        programs = supervisor.programs()
    except SupervisorFailed as error:
        return [*findings, Finding(str(error), "Correct that first: nothing can be started so.")]
    wrong = {each.name: found for each in programs if (found := wrong_flags(each, supervisor))}
    findings += wrong.values()
    programs = [program for program in programs if program.name not in wrong]
    try:
        findings += double_uses(programs, supervisor)
        findings += _clock(programs)
        findings += _state_dirs(programs)
        findings += open_ports(programs, supervisor)
        if supervisor.pid() is None:
            if left := supervisor.left_behind():
                what = f"The supervisor was killed, and {len(left)} of its processes still run."
                return [*findings, Finding(what, "Stop them: evd down; then start anew: evd up")]
            findings.append(Finding("The network does not run.", "Start it: evd up"))
            return [*findings, *_ports(programs, supervisor)]
        status = supervisor.status()
        findings += _drift(supervisor)
        findings += _processes(supervisor, programs, status)
        findings += _broker(programs)
        findings += crowds(programs)
        findings += centrals(supervisor, programs)
        findings += _central(supervisor, status)
        findings += hung(supervisor, programs, status)
        findings += charging_points(supervisor, programs)
        findings += suspect_sessions(supervisor)
        findings += counted(supervisor, programs, status)
        findings += certificates(supervisor, programs, status)
        findings += callers(supervisor)
    except (SupervisorFailed, ToolFailed) as error:
        findings.append(Finding(str(error), "Until then nothing more can be examined."))
    return findings


def wrong_flags(program: Program, supervisor: Supervisor) -> Finding | None:
    """The setting that a program would refuse at its start, and its place."""
    try:
        config_of(program)
    except ToolFailed as error:
        return Finding(str(error), _correction(program, supervisor))
    return None


def _correction(program: Program, supervisor: Supervisor) -> str:
    try:
        config_of(program, shell={})
    except ToolFailed:
        own, shared = supervisor.file_of(program.name), supervisor.conf
        return f"Correct {own}, or a variable in {shared}; then: evd reload"
    return "Correct or unset that variable in your shell; a network started with it needs a restart"


def double_uses(programs: Sequence[Program], supervisor: Supervisor) -> Iterator[Finding]:
    """Ports that two programs were given: only one of them can start."""
    for pair in given_twice(programs):
        remedy = f"Change {settings(*pair, supervisor)}; then: evd reload"
        yield Finding(f"{double_use(*pair)}.", remedy)


def _disk(var: Path) -> Iterator[Finding]:
    folder = next(each for each in (var, *var.parents) if each.exists())
    free = shutil.disk_usage(folder).free
    if free < DISK_BYTES_MIN:
        yield Finding(
            f"Only {free // 1_000_000} MB are free on the disk of {folder}.",
            "Make room: without a disk no session can begin and no request be taken.",
        )


def _clock(programs: Sequence[Program]) -> Iterator[Finding]:
    logs = [each.log for each in programs if each.log is not None and each.log.exists()]
    ahead_s = max((log.stat().st_mtime for log in logs), default=0.0) - time.time()
    if ahead_s > CLOCK_S_MAX:
        yield Finding(
            f"The clock was set back: the newest log is from {ahead_s:.0f} s in the future.",
            "Keep it right (timedatectl set-ntp true): all records carry it, nothing obeys it.",
        )


def _state_dirs(programs: Sequence[Program]) -> Iterator[Finding]:
    for program in programs:
        config = config_of(program)
        # The folder of a unit is systemd's to make and to give away.
        if not isinstance(config, StatefulConfig) or program.log is None:
            continue
        folder = program.log.parent.parent.parent / config.state_dir
        if folder.exists() and not os.access(folder, os.W_OK | os.X_OK):
            yield Finding(
                f"{program.name} can't write to its state directory {folder}.",
                f"Give it to the user who runs the network: chown -R USER {folder}",
            )


def _ports(programs: Sequence[Program], supervisor: Supervisor) -> Iterator[Finding]:
    for endpoint in endpoints(programs):
        if not is_free(endpoint.host, endpoint.port):
            found = holder(endpoint.port)
            end_it = f"End it (kill {found.pid})" if found else "Stop what holds it"
            yield Finding(
                f"Port {endpoint.port} ({endpoint.flag} of {endpoint.program}) is in use"
                f"{describe_holder(endpoint.port)}, though the network does not run.",
                f"{end_it}, or change {endpoint.setting(supervisor)}.",
            )


def _drift(supervisor: Supervisor) -> Iterator[Finding]:
    for sentence in changes(supervisor.drift()):
        yield Finding(f"{sentence}.", "Take it up: evd reload")


def _processes(
    supervisor: Supervisor, programs: Sequence[Program], status: Sequence[ProcessStatus]
) -> Iterator[Finding]:
    logs = {each.name: each.log for each in programs}
    starts = supervisor.starts(FLAPPING_S)
    for each in status:
        count = starts.get(each.name, 0)
        look = f"See why: evd logs {each.name}"
        if each.state is ProcessState.STOPPED:
            yield Finding(f"{each.name} is stopped.", "Start it: evd up")
        elif count > STARTS_MAX:
            last = _last_words(supervisor, each.name, logs.get(each.name))
            yield Finding(
                f"{each.name} does not stay up: {count} starts in the last minute.{last}", look
            )
        elif each.state is ProcessState.GIVEN_UP:
            yield Finding(f"{each.name} is given up: {each.detail}.", f"{look}; then: evd up")
        elif each.state is not ProcessState.RUNNING and each.state is not ProcessState.STARTING:
            yield Finding(f"{each.name} is {each.state}: {each.detail}.", look)


def _last_words(supervisor: Supervisor, name: str, log: Path | None) -> str:
    lines = last_lines(log, 1) if log is not None else [*supervisor.journal(name, 1)]
    return f" It said last: {lines[-1].strip()}" if lines else ""


def hung(
    supervisor: Supervisor, programs: Sequence[Program], status: Sequence[ProcessStatus]
) -> Iterator[Finding]:
    """Processes that run and do not answer, or answer that they can't work, and why."""
    running = {each.name: each for each in status if each.state is ProcessState.RUNNING}
    unable: dict[str, list[str]] = {}
    # The broker first: it may be the thing that the others lack.
    for program in sorted(programs, key=lambda each: each.group != BROKER):
        config = config_of(program)
        process = running.get(program.name)
        if process is None or (process.up_s or 0.0) < SETTLED_S:
            continue
        if not isinstance(config, MetricsConfig) or not config.metrics_port:
            continue
        answer = fetch(supervisor, config, "/health")
        if answer is None:
            yield Finding(
                f"{program.name} (process {process.pid}) does not answer: it hangs.",
                f"Let it be started anew: evd crash {program.name}",
            )
        elif answer.status != 200:
            unable.setdefault(_reason(answer.body), []).append(program.name)
    # Programs that lack the same share one finding.
    for reason, names in unable.items():
        yield Finding(
            f"{', '.join(names)} can't do {'its' if len(names) == 1 else 'their'} work: {reason}.",
            f"See why: evd logs {names[0]}",
        )


def counted(
    supervisor: Supervisor, programs: Sequence[Program], status: Sequence[ProcessStatus]
) -> Iterator[Finding]:
    """Findings of the metrics: sessions put aside, bad messages, monitors that find no place."""
    running = {each.name for each in status if each.state is ProcessState.RUNNING}
    letters: dict[str, int] = {}
    for program in programs:
        page = _page(supervisor, config_of(program)) if program.name in running else None
        if page is None:
            continue
        letters[program.name] = int(page.get("evd_dead_letters_recent", 0))
        if unreadable := page.get("evd_sessions_unreadable", 0):
            yield Finding(
                f"{program.name} has {unreadable:.0f} sessions whose record can't be read.",
                f"Central closes them as estimates. See which: evd logs {program.name}",
            )
        taken, places = (page.get(f"evd_monitor_connections{end}", 0) for end in ("", "_max"))
        if places and taken >= places:
            yield Finding(
                f"{program.name} turns monitors away: all of its {places:.0f} places are taken.",
                "Give it more (--monitors-max), or end what holds connections and is no monitor.",
            )
    if names := [name for name, count in letters.items() if count]:
        yield Finding(
            f"{sum(letters.values())} bad messages came in within 10 minutes, to"
            f" {', '.join(names)}: they are put aside on evd.dead-letters.",
            f"See which, and who may send them: evd logs {names[0]}",
        )


def _page(supervisor: Supervisor, config: Config | None) -> dict[str, float] | None:
    """The metrics of a program that have no labels, by name; None where it has no such page."""
    answer = fetch(supervisor, config, "/metrics")
    if answer is None or answer.status != HTTPStatus.OK:
        return None
    lines = _METRIC.findall(answer.body.decode(errors="replace"))
    return {name: float(value) for name, value in lines}


def _reason(body: bytes) -> str:
    try:
        return str(json.loads(body)["error"])
    except (ValueError, KeyError, TypeError):
        return "it does not say why"


def _broker(programs: Sequence[Program]) -> Iterator[Finding]:
    own = next((each.name for each in programs if each.group in (BROKER, KAFKA)), None)
    for program in programs:
        config = config_of(program)
        if not isinstance(config, CentralConfig):
            continue
        for address in config.kafka_bootstrap.split(","):
            try:
                with socket.create_connection(host_and_port(address), timeout=2.0):
                    pass
            except OSError as error:
                yield Finding(
                    f"The broker at {address} can't be reached: {error.strerror or error}.",
                    f"See whether it runs: evd logs {own}" if own else "See whether it runs.",
                )


def crowds(programs: Sequence[Program]) -> Iterator[Finding]:
    """HTTP ports that have no place for more clients, or for more of one address."""
    # Its libraries take longer to import than the other verbs take to run.
    from evd.adapters.feed.server import FEED_BOUNDS
    from evd.adapters.http.connection import METRICS_BOUNDS, Bounds

    bounds = {
        "--http-port": Bounds(),
        "--feed-port": FEED_BOUNDS,
        "--metrics-port": METRICS_BOUNDS,
    }
    for endpoint in endpoints(programs):
        bound = bounds.get(endpoint.flag)
        if bound is None or not (counts := clients(endpoint.port)):
            continue
        there = f"HTTP connections to {endpoint.program} ({endpoint.flag} {endpoint.port})"
        ((address, most),) = counts.most_common(1)
        remedy = f"See on {address} which program has them: ss -tnp dport = :{endpoint.port}"
        if most >= (count := bound.of_address_max):
            what = f"{address} has all of the {count} {there} that one address may have"
            yield Finding(f"{what}: more are turned away.", remedy)
        elif counts.total() >= (count := bound.connections_max):
            what = f"All of the {count} {there} are taken"
            yield Finding(f"{what}: more are turned away.", remedy)


def _central(supervisor: Supervisor, status: Sequence[ProcessStatus]) -> Iterator[Finding]:
    central = central_of(supervisor)
    look = f"See why: evd logs {CENTRAL}"
    try:
        began_s = time.monotonic()
        health = central.health()
        took_s = time.monotonic() - began_s
        if took_s > 1.0:
            yield Finding(f"Central takes {took_s:.1f} s for an answer.", look)
        if rows := health.get("unreadable"):
            yield Finding(
                f"Central's database has rows that can't be read: {', '.join(map(str, rows))}.",
                f"See what is wrong there: evd logs {CENTRAL}; all else is served.",
            )
    except CentralAway as error:
        if any(each.name == CENTRAL and each.state is ProcessState.RUNNING for each in status):
            yield Finding(
                sentence_of(error), f"If it hangs, let it be started anew: evd crash {CENTRAL}"
            )
    except CentralRefused as error:
        # One that stands by is as it should be; of several `centrals` has told.
        if not is_standby(error):
            yield Finding(sentence_of(error), look)


def charging_points(supervisor: Supervisor, programs: Sequence[Program]) -> Iterator[Finding]:
    """Findings about charging points, as Central shows them."""
    central = central_of(supervisor)
    try:
        views = central.charging_points()["charging_points"]
    except (CentralAway, CentralRefused):
        # `_central` has told of it.
        return
    if len(views) >= settings_of_central(supervisor).cps_max:
        yield Finding(
            f"Central knows {len(views)} charging points, and its --cps-max allows no more:"
            " a new one is turned away.",
            "Remove those that are gone (evd cp remove --unused 30), or raise --cps-max.",
        )
    ours = {each.member for each in programs if each.group == MONITOR}
    for view in views:
        if view["stopped"]:
            yield Finding(
                f"{view['cp_id']} was stopped by the operator.",
                f"If it is to charge: evd cp resume {view['cp_id']}",
            )
        else:
            yield from _charging_point(view, is_ours=view["cp_id"] in ours)
    yield from _idle(central, {view["cp_id"] for view in views if _is_idle(view)})


def _is_idle(view: dict[str, Any]) -> bool:
    if view["stopped"] or view["state"] != "ON" or view["breaker"] == "OPEN":
        return False
    return not view["available"] and view["current_session"] is None


def _idle(central: Central, cp_ids: Collection[str]) -> Iterator[Finding]:
    """Those of `cp_ids` that are still ON and free and take no driver, though nobody wants that."""
    if not cp_ids:
        return
    # Between a session's record and its engine's next report it is no finding.
    time.sleep(IDLE_S)
    with contextlib.suppress(CentralAway, CentralRefused):
        for view in central.charging_points()["charging_points"]:
            if view["cp_id"] in cp_ids and _is_idle(view):
                yield Finding(
                    f"{view['cp_id']} is ON and free, yet takes no driver:"
                    f" {view['unavailable_reason']}.",
                    f"See why: evd logs evd-engine:{view['cp_id']}",
                )


def suspect_sessions(supervisor: Supervisor) -> Iterator[Finding]:
    """Sessions that wait for the operator's judgement, of the newest SESSIONS_MAX * PAGES_MAX."""
    before: str | None = None
    for _ in range(PAGES_MAX):
        try:
            sessions = central_of(supervisor).sessions(limit=SESSIONS_MAX, before=before)
        except (CentralAway, CentralRefused):
            # `_central` has told of it.
            return
        yield from (_suspect(session) for session in sessions if session["suspect"])
        if len(sessions) < SESSIONS_MAX:
            return
        before = sessions[-1]["session_id"]


def _suspect(session: dict[str, Any]) -> Finding:
    session_id = session["session_id"]
    return Finding(
        f"{session_id} at {session['cp_id']} has no bill: {session['reason']}.",
        f"Bill it as recorded: evd session accept {session_id};"
        f" or at 0: evd session void {session_id}",
    )


def _charging_point(view: dict[str, Any], *, is_ours: bool) -> Iterator[Finding]:
    cp_id = view["cp_id"]
    if view["state"] == "BROKEN":
        yield Finding(
            f"{cp_id} is BROKEN: {view['unavailable_reason']}.",
            f"See why its engine fails: evd logs evd-engine:{cp_id}",
        )
    elif view["state"] == "DISCONNECTED":
        yield Finding(
            f"{cp_id} is DISCONNECTED: its monitor is not there.",
            f"See why: evd logs evd-monitor:{cp_id}"
            if is_ours
            else f"No program here is its monitor; if it was taken away: evd cp remove {cp_id}",
        )
    elif view["breaker"] == "OPEN":
        yield Finding(
            f"The breaker of {cp_id} is OPEN: five sessions in a row failed there.",
            f"It tries again within a minute; see why: evd logs evd-engine:{cp_id}",
        )
