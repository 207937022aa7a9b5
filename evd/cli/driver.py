"""`evd driver`: drivers that come and go."""

import argparse
from pathlib import Path

from evd.adapters.supervisor.protocol import Program, Supervisor
from evd.cli.command_line import (
    Verbs,
    add_actions,
    add_count,
    add_json,
    add_verb,
    add_yes,
    print_json,
    value_of,
)
from evd.cli.cp_token import add_token
from evd.cli.credentials import drop_token, with_tokens
from evd.cli.errors import ToolFailed, say
from evd.cli.names import confirm, doubts, new_driver_ids
from evd.cli.ports import DASHBOARD_PORTS, METRICS_PORTS, PortChoice
from evd.cli.programs import (
    DRIVER,
    config_of,
    define,
    not_running,
    refuse_known,
    report_added,
    stop_those_there,
)
from evd.cli.start_lock import changing
from evd.config import read_requests_file
from evd.core.access.roles import Role
from evd.flags import PORT, ConfigError


def add_verbs(verbs: Verbs) -> None:
    """Add `driver add` and `driver remove`."""
    actions = add_actions(verbs, "driver", "add or remove drivers, renew their tokens")
    new = add_verb(actions, "add", "add drivers", _add)
    new.add_argument("names", metavar="NAME", nargs="+")
    new.add_argument("--requests", type=Path, metavar="FILE", help="one charging point a line")
    new.add_argument(
        "--http-port", type=value_of(PORT), metavar="N", help="its dashboard (default: free)"
    )
    add_count(new)
    add_yes(new)
    add_json(new)
    text = "remove drivers; a running session goes on and is billed"
    old = add_verb(actions, "remove", text, _remove)
    old.add_argument("names", metavar="NAME", nargs="+")
    add_json(old)
    add_token(actions, Role.DRIVER)


def _add(supervisor: Supervisor, options: argparse.Namespace) -> int:
    driver_ids = new_driver_ids(options.names, options.count)
    if options.http_port is not None and len(driver_ids) > 1:
        raise ToolFailed("--http-port is for one driver.", 2)
    known = {each.member for each in supervisor.programs() if each.group == DRIVER}
    confirm(doubts(driver_ids, known), yes=options.yes)
    with changing(supervisor):
        ports = add_drivers(supervisor, driver_ids, options.requests, options.http_port)
    names = {f"{DRIVER}:{driver_id}" for driver_id in driver_ids}

    def missing() -> list[str]:
        found = [each for each in supervisor.status() if each.name in names]
        unknown = names - {each.name for each in found}
        return not_running(found) + [f"{name} is not there" for name in sorted(unknown)]

    return report_added(
        supervisor,
        {each: {"driver_id": each, "http_port": port} for each, port in ports.items()},
        [f"Added {d}, its dashboard: http://127.0.0.1:{port}" for d, port in ports.items()],
        missing,
        as_json=options.json,
    )


def _remove(supervisor: Supervisor, options: argparse.Namespace) -> int:
    with changing(supervisor):
        driver_ids = [*dict.fromkeys(options.names)]
        for driver_id in driver_ids:
            trouble = remove_driver(supervisor, driver_id)
            if trouble:
                say(f"The token of {driver_id} may still be good. {trouble}")
            if not options.json:
                print(f"Removed {driver_id}")
    if options.json:
        print_json({"removed": driver_ids})
    return 0


def add_drivers(
    supervisor: Supervisor, driver_ids: list[str], requests: Path | None, http_port: int | None
) -> dict[str, int]:
    """Define drivers and start them; the port of each one's dashboard."""
    units = {driver_id: f"driver-{driver_id}" for driver_id in driver_ids}
    programs = supervisor.programs()
    refuse_known(supervisor, units, programs, DRIVER)
    ports = PortChoice(programs)
    if http_port is not None:
        ports.claim(http_port, "--http-port")
    dashboards = {
        driver_id: ports.count_on(DRIVER, "--http-port", DASHBOARD_PORTS)
        if http_port is None
        else http_port
        for driver_id in driver_ids
    }
    made = {
        unit: [_driver(driver_id, requests, dashboards[driver_id], ports)]
        for driver_id, unit in units.items()
    }
    define(supervisor, with_tokens(supervisor, made))
    return dashboards


def remove_driver(supervisor: Supervisor, driver_id: str) -> str:
    """Stop a driver and forget it; a session of its goes on, and is billed.

    A sentence where its token may still be good, else nothing.
    """
    unit = f"driver-{driver_id}"
    names = [
        each.name
        for each in supervisor.programs()
        if each.group == DRIVER and each.member == driver_id
    ]
    if not names or not supervisor.has(unit):
        raise ToolFailed(f"There is no driver {driver_id} here.")
    is_up = supervisor.pid() is not None
    if is_up:
        stop_those_there(supervisor, names)
    supervisor.remove(unit)
    if is_up:
        supervisor.sync()
    return drop_token(supervisor, unit)


def _driver(driver_id: str, requests: Path | None, http_port: int, ports: PortChoice) -> Program:
    flags = ["--driver-id", driver_id, "--http-port", str(http_port)]
    if requests is not None:
        _check_requests(requests)
        flags += ["--requests-file", str(requests.resolve())]
    metrics_port = ports.count_on(DRIVER, "--metrics-port", METRICS_PORTS)
    program = Program(DRIVER, driver_id, (*flags, "--metrics-port", str(metrics_port)))
    config_of(program)
    return program


def _check_requests(path: Path) -> None:
    """ToolFailed where a driver could not read its requests there at each of its starts."""
    # A pipe would keep us waiting, and be empty at the second start.
    if path.exists() and not path.is_file():
        raise ToolFailed(f"--requests: {str(path)!r} is not a file.", 2)
    try:
        read_requests_file(path)
    except ConfigError as error:
        # It names the flag of the driver, which nobody typed.
        why = str(error).removeprefix("--requests-file: ")
        raise ToolFailed(f"--requests: {why}.", 2) from None
