"""What each verb does; the way from the command line to the parts that do it."""

import argparse
import json
import os
import random
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.live import Live

import evd
from evd.adapters.supervisor.supervisord import Supervisord
from evd.cli import charge, database
from evd.cli.broker import KAFKA_READY_S, choose_broker
from evd.cli.central import CentralAway, CentralRefused
from evd.cli.doctor import examine
from evd.cli.errors import ToolFailed
from evd.cli.follow import Tail, last_lines
from evd.cli.foreground import end_at_once, end_left_behind, run_in_foreground
from evd.cli.names import cp_ids_from, new_cp_ids, new_driver_ids
from evd.cli.network import READY_S, Network, NewCp, not_running
from evd.cli.ports import refuse_taken
from evd.cli.signals import INTERRUPTED
from evd.cli.start_lock import changing, refuse_left_behind
from evd.cli.status import draw, take_snapshot
from evd.core.driver.requests_file import ANY_CP
from evd.core.wire.fields import FieldError, check_cp_id, check_id
from evd.core.wire.messages import RequestStatus

STOP_S_MAX: Final = 12.0
POLL_S: Final = 0.1
WATCH_S: Final = 1.0


def carry_out(options: argparse.Namespace) -> int:
    """Do what the command line says; the exit code."""
    command = _COMMANDS[options.verb, getattr(options, "action", None)]
    return command(Supervisord(_configuration(options.config)), options)


def _configuration(given: Path | None) -> Path:
    source = "--config"
    if given is None and (named := os.environ.get("EVD_CONFIG")):
        given, source = Path(named), "EVD_CONFIG"
    checkout = Path(evd.__file__).parents[1] / "etc" / "supervisord.conf"
    found = given or next(
        (each for each in (checkout, Path("etc/supervisord.conf")) if each.exists()), checkout
    )
    if not found.is_file():
        what = f"{found} is no file" if found.exists() else f"There is no {found}"
        raise ToolFailed(f"{what}: name the network's supervisord.conf with {source}.", 2)
    return found


def _console() -> Console:
    # Off a terminal nobody's width is known, and a cut line tells less than a long one.
    return Console(highlight=False, width=None if sys.stdout.isatty() else 200)


def _print_json(fields: object) -> None:
    print(json.dumps(fields, indent=2))


def _run(supervisord: Supervisord, _: argparse.Namespace) -> int:
    return run_in_foreground(supervisord, _console())


def _up(supervisord: Supervisord, options: argparse.Namespace) -> int:
    # Looked at under the lock: of several at once the first starts it, the others find it running.
    with changing(supervisord):
        refuse_left_behind(supervisord)
        running = supervisord.pid() is not None
        on_kafka = choose_broker(supervisord, options.kafka)
        if not running:
            refuse_taken(supervisord.programs(), supervisord)
        supervisord.up()
    network = Network(supervisord)
    _wait_until_up(network, KAFKA_READY_S if on_kafka else READY_S)
    print(f"The network is up: {network.central().url}, logs in {supervisord.log.parent}")
    return 0


def _wait_until_up(network: Network, within_s: float) -> None:
    end_s = time.monotonic() + within_s
    while True:
        lame = not_running(network.supervisor)
        try:
            network.central().health()
            lame += network.not_on()
        except (CentralAway, CentralRefused) as error:
            lame.append(str(error))
        if not lame:
            return
        if time.monotonic() > end_s:
            told = ", ".join(lame)
            raise ToolFailed(
                f"After {within_s:g} s: {told.rstrip('.')}. `evd doctor` may say more."
            )
        time.sleep(POLL_S)


def _down(supervisord: Supervisord, _: argparse.Namespace) -> int:
    pid = supervisord.pid()
    if pid is None:
        count = end_left_behind(supervisord)
        print(
            f"supervisord had been killed; the {count} processes that it left were stopped."
            if count
            else "The network does not run."
        )
        return 0
    supervisord.shut_down()
    end_s = time.monotonic() + STOP_S_MAX
    while _is_alive(pid):
        if time.monotonic() > end_s:
            end_at_once(pid)
            print(f"Not finished within {STOP_S_MAX:g} s: ended by force.", file=sys.stderr)
            return 1
        time.sleep(POLL_S)
    print("The network is down. What was charged is kept.")
    return 0


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        # A process that nobody has waited for yet is there, but dead.
        return b") Z " not in Path(f"/proc/{pid}/stat").read_bytes()
    except (ProcessLookupError, FileNotFoundError):
        return False
    except PermissionError:
        return True


def _status(supervisord: Supervisord, options: argparse.Namespace) -> int:
    snapshot = take_snapshot(supervisord)
    if options.json:
        _print_json(snapshot.as_json())
    else:
        _console().print(draw(snapshot))
    return 0 if snapshot.is_well else 1


def _watch(supervisord: Supervisord, _: argparse.Namespace) -> int:
    if not sys.stdout.isatty():
        raise ToolFailed("evd watch needs a terminal; a script asks evd status --json.", 2)
    with Live(console=_console(), screen=True, auto_refresh=False) as live:
        try:
            while True:
                live.update(draw(take_snapshot(supervisord)), refresh=True)
                time.sleep(WATCH_S)
        except KeyboardInterrupt:
            return 0


def _request(supervisord: Supervisord, options: argparse.Namespace) -> int:
    cp_id = None if options.cp_id == ANY_CP else options.cp_id
    try:
        check_id(options.driver_id, "DRIVER")
        if cp_id is not None:
            check_cp_id(cp_id, "CP")
    except FieldError as error:
        raise ToolFailed(f"{error}.", 2) from None
    central = Network(supervisord).central()
    request_id = charge.ask(central, options.driver_id, cp_id)
    if options.no_wait:
        _print_json({"request_id": request_id}) if options.json else print(request_id)
        return 0
    try:
        request = charge.follow(central, request_id, None if options.json else _console())
    except KeyboardInterrupt:
        raise ToolFailed(
            f"No longer waiting: request {request_id} goes on, and what it charges is billed.",
            INTERRUPTED,
        ) from None
    if options.json:
        _print_json(request)
    elif bill := charge.bill_of(central, request):
        print(bill)
    return 0 if request["status"] == RequestStatus.COMPLETED else 1


def _add_cp(supervisord: Supervisord, options: argparse.Namespace) -> int:
    cp_ids = new_cp_ids(options.names, options.count)
    network = Network(supervisord)
    with changing(supervisord):
        network.add_charging_points(cp_ids, NewCp(options.kw, options.euro))
    running = supervisord.pid() is not None
    trouble = _trouble(network.wait_until_on, cp_ids) if running else None
    if options.json:
        is_on = running and trouble is None
        _print_json({"added": cp_ids, "running": running, "on": is_on})
    if trouble is not None:
        raise ToolFailed(f"Added {', '.join(cp_ids)}. {trouble}")
    if not options.json:
        print(f"Added {', '.join(cp_ids)}{'' if running else _NOT_YET}")
    return 0


def _trouble(wait: Callable[[Sequence[str]], None], names: Sequence[str]) -> ToolFailed | None:
    """What keeps new ones from working, once `wait` has given them its time."""
    try:
        wait(names)
    except ToolFailed as error:
        return error
    return None


def _remove_cp(supervisord: Supervisord, options: argparse.Namespace) -> int:
    network = Network(supervisord)
    with changing(supervisord):
        for cp_id in cp_ids_from(options.names):
            network.remove_charging_point(cp_id, options.force, print)
            print(f"Removed {cp_id}; its history stays, and its engine's records on disk")
    return 0


def _add_driver(supervisord: Supervisord, options: argparse.Namespace) -> int:
    driver_ids = new_driver_ids(options.names, options.count)
    if options.http_port is not None and len(driver_ids) > 1:
        raise ToolFailed("--http-port is for one driver.", 2)
    network = Network(supervisord)
    with changing(supervisord):
        ports = network.add_drivers(driver_ids, options.requests, options.http_port)
    running = supervisord.pid() is not None
    trouble = _trouble(network.wait_until_running, driver_ids) if running else None
    if options.json:
        added = [{"driver_id": d, "http_port": p} for d, p in ports.items()]
        is_on = running and trouble is None
        _print_json({"added": added, "running": running, "on": is_on})
    if trouble is not None:
        raise ToolFailed(f"Added {', '.join(driver_ids)}. {trouble}")
    if options.json:
        return 0
    for driver_id, port in ports.items():
        where = f"http://127.0.0.1:{port}"
        print(f"Added {driver_id}, its dashboard: {where}{'' if running else _NOT_YET}")
    return 0


def _remove_driver(supervisord: Supervisord, options: argparse.Namespace) -> int:
    network = Network(supervisord)
    with changing(supervisord):
        for driver_id in dict.fromkeys(options.names):
            network.remove_driver(driver_id)
            print(f"Removed {driver_id}")
    return 0


_NOT_YET: Final = " (the network does not run: `evd up` starts it)"


def _crash(supervisord: Supervisord, options: argparse.Namespace) -> int:
    if options.name is not None:
        name = Network(supervisord).program(options.name).name
    else:
        running = [each.name for each in supervisord.status() if each.pid is not None]
        if not running:
            raise ToolFailed("No process runs.")
        name = random.choice(running)
    pid = supervisord.kill(name)
    if options.json:
        _print_json({"killed": name, "pid": pid})
    else:
        print(f"Killed {name} (process {pid}) with SIGKILL; its supervisor starts it again")
    return 0


def _logs(supervisord: Supervisord, options: argparse.Namespace) -> int:
    program = Network(supervisord).program(options.name)
    paths = [path for path in (program.output_log, program.log) if path is not None]
    tails = [Tail(path) for path in paths]
    for path, tail in zip(paths, tails, strict=True):
        if len(paths) > 1:
            print(f"== {path}")
        tail.skip()
        for line in last_lines(path, options.lines):
            print(line)
    while options.follow:
        for tail in tails:
            for line in tail.lines():
                print(line, flush=True)
        time.sleep(POLL_S)
    return 0


def _doctor(supervisord: Supervisord, options: argparse.Namespace) -> int:
    findings = examine(supervisord, supervisord.var)
    if options.json:
        _print_json([{"what": each.what, "remedy": each.remedy} for each in findings])
    elif not findings:
        print("Everything is as it should be.")
    else:
        for each in findings:
            print(f"{each.what}\n    {each.remedy}")
    return 1 if findings else 0


def _back_up(supervisord: Supervisord, options: argparse.Namespace) -> int:
    database.back_up(Network(supervisord), supervisord.root, options.file)
    print(f"Copied Central's database to {options.file}")
    return 0


def _restore(supervisord: Supervisord, options: argparse.Namespace) -> int:
    with changing(supervisord):
        database.restore(Network(supervisord), supervisord.root, options.file)
    print(
        f"Restored from {options.file}. Central begins no session until every charging point has"
        " sent what the copy lacks, or you say: evd central accept"
    )
    return 0


def _accept(supervisord: Supervisord, _: argparse.Namespace) -> int:
    Network(supervisord).central().accept_recovery()
    print("Accepted: Central awaits nothing more, and sessions may begin.")
    return 0


def _topics(_: Supervisord, __: argparse.Namespace) -> int:
    # Loaded late: Kafka's client stands behind it.
    from evd.cli import topics

    return topics.main([], os.environ)


_COMMANDS: Final[
    Mapping[tuple[str, str | None], Callable[[Supervisord, argparse.Namespace], int]]
] = {
    ("run", None): _run,
    ("up", None): _up,
    ("down", None): _down,
    ("status", None): _status,
    ("watch", None): _watch,
    ("request", None): _request,
    ("cp", "add"): _add_cp,
    ("cp", "remove"): _remove_cp,
    ("driver", "add"): _add_driver,
    ("driver", "remove"): _remove_driver,
    ("crash", None): _crash,
    ("logs", None): _logs,
    ("doctor", None): _doctor,
    ("central", "backup"): _back_up,
    ("central", "restore"): _restore,
    ("central", "accept"): _accept,
    ("topics", None): _topics,
}
