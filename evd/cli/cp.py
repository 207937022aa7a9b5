"""`evd cp`: charging points that come and go."""

import argparse
import contextlib
import re
import time
from collections.abc import Callable, Iterator, Sequence
from http import HTTPStatus
from typing import Final

import attrs

from evd.adapters.http.central_client import Central, CentralAway, CentralRefused
from evd.adapters.http.client import HttpAnswer
from evd.adapters.supervisor.protocol import Program, Supervisor, SupervisorFailed
from evd.cli.command_line import (
    Verbs,
    add_actions,
    add_count,
    add_json,
    add_verb,
    add_yes,
    print_json,
    text_of,
    value_of,
)
from evd.cli.cp_token import add_token
from evd.cli.credentials import drop_token, with_tokens
from evd.cli.errors import ToolFailed, is_standby, sentence_of
from evd.cli.names import confirm, cp_ids_from, doubts, new_cp_ids
from evd.cli.orders import add_orders
from evd.cli.ports import HEALTH_PORTS, METRICS_PORTS, PortChoice
from evd.cli.programs import (
    ENGINE,
    MONITOR,
    POLL_S,
    central_of,
    config_of,
    define,
    fetch,
    is_central_here,
    refuse_known,
    report_added,
    stop_those_there,
)
from evd.cli.signals import INTERRUPTED, undisturbed
from evd.cli.start_lock import changing
from evd.cli.unused import remove_unused
from evd.config import EngineConfig, MonitorConfig
from evd.core.access.roles import Role
from evd.flags import COUNT, EURO_RATE, KW, PORT

SESSION_END_S: Final = 30.0
FORGET_S: Final = 5.0

Say = Callable[[str], None]


def add_verbs(verbs: Verbs) -> None:
    """Add `cp` with its actions."""
    actions = add_actions(verbs, "cp", "add, remove, stop or resume charging points")
    add_orders(actions)
    add_token(actions, Role.MONITOR)
    text = "add charging points: 7 is CP-007, anything else is taken as it is"
    new = add_verb(actions, "add", text, _add)
    new.add_argument("names", metavar="N|ID", nargs="+")
    new.add_argument("--kw", type=text_of(KW), metavar="KW", help="power in kW (default 22)")
    new.add_argument(
        "--euro", type=text_of(EURO_RATE), metavar="EURO", help="price in euro/kWh (default 0.30)"
    )
    new.add_argument(
        "--port", type=value_of(PORT), metavar="N", help="the engine's health port (default: free)"
    )
    add_count(new)
    add_yes(new)
    add_json(new)
    text = "end a charging point's session, wait for its bill, remove it"
    old = add_verb(actions, "remove", text, _remove)
    old.add_argument("names", metavar="N|ID", nargs="*")
    old.add_argument("--force", action="store_true", help="also where a record may be lost")
    old.add_argument(
        "--unused",
        type=value_of(COUNT),
        metavar="DAYS",
        help="instead of names: all that were not connected for so long and have no program here",
    )
    old.add_argument("--yes", action="store_true", help="with --unused: do not ask")
    add_json(old)


def _add(supervisor: Supervisor, options: argparse.Namespace) -> int:
    cp_ids = new_cp_ids(options.names, options.count)
    confirm(doubts(cp_ids, _known(supervisor)), yes=options.yes)
    with changing(supervisor):
        add_charging_points(supervisor, cp_ids, options.kw, options.euro, options.port)
    return report_added(
        supervisor,
        {cp_id: cp_id for cp_id in cp_ids},
        [f"Added {', '.join(cp_ids)}"],
        lambda: not_on(supervisor, cp_ids),
        as_json=options.json,
    )


def _known(supervisor: Supervisor) -> set[str | None]:
    """The charging points of this network, and those on Central's list where it can be asked."""
    known = {each.member for each in supervisor.programs() if each.group in (ENGINE, MONITOR)}
    with contextlib.suppress(CentralAway, CentralRefused):
        known |= {x["cp_id"] for x in central_of(supervisor).charging_points()["charging_points"]}
    return known


def _remove(supervisor: Supervisor, options: argparse.Namespace) -> int:
    if bool(options.names) == (options.unused is not None):
        raise ToolFailed("Name charging points to remove, or say --unused DAYS.", 2)
    if options.unused is not None and options.json and not options.yes:
        raise ToolFailed("--json asks nobody: say --yes with --unused.", 2)
    removed: list[str] = []
    said: list[str] = []
    say: Say = said.append if options.json else print
    if options.unused is not None:
        code = remove_unused(supervisor, options.unused, removed, say, yes=options.yes)
    else:
        code = 0
        with changing(supervisor):
            for cp_id in cp_ids_from(options.names):
                remove_charging_point(supervisor, cp_id, options.force, say)
                removed.append(cp_id)
                say(f"Removed {cp_id}; its history stays, and its engine's records on disk")
    if options.json:
        print_json({"removed": removed, "said": said})
    return code


def add_charging_points(
    supervisor: Supervisor,
    cp_ids: Sequence[str],
    kw: str | None,
    euro: str | None,
    port: int | None = None,
) -> None:
    """Define charging points and start them; none of them if one is wrong.

    `kw` and `euro` are the engines' --kw-rate and --euro-rate; None: the engine's own default.
    `port` is the first one's health port, from which the others count on; None: after those of the
    network's own.
    """
    units = {cp_id: f"cp-{cp_id}" for cp_id in cp_ids}
    programs = supervisor.programs()
    refuse_known(supervisor, units, programs, ENGINE, MONITOR)
    ports = PortChoice(programs)
    rates = [
        *(() if kw is None else ("--kw-rate", kw)),
        *(() if euro is None else ("--euro-rate", euro)),
    ]
    health_ports = [
        ports.count_on(ENGINE, "--health-port", HEALTH_PORTS)
        if port is None
        else ports.claim(port + n, "--port")
        for n in range(len(cp_ids))
    ]
    made = {
        unit: _programs(cp_id, str(health_port), rates, ports)
        for (cp_id, unit), health_port in zip(units.items(), health_ports, strict=True)
    }
    define(supervisor, with_tokens(supervisor, made))


def _programs(
    cp_id: str, health_port: str, rates: Sequence[str], ports: PortChoice
) -> list[Program]:
    def metrics_port(group: str) -> str:
        return str(ports.count_on(group, "--metrics-port", METRICS_PORTS))

    engine, monitor = (
        Program(group, cp_id, (*flags, "--metrics-port", metrics_port(group)))
        for group, flags in (
            (ENGINE, ("--cp-id", cp_id, "--health-port", health_port, *rates)),
            (MONITOR, ("--cp-id", cp_id, "--cp-e-port", health_port)),
        )
    )
    # A wrong rate is said now, and not by a process that dies again and again.
    config_of(engine)
    config_of(monitor)
    return [engine, monitor]


def not_on(supervisor: Supervisor, cp_ids: Sequence[str] | None = None) -> list[str]:
    """Those of this network's charging points, or of `cp_ids`, that are not ON, with why."""
    if cp_ids is None:
        programs = supervisor.programs()
        cp_ids = [each.member for each in programs if each.group == MONITOR and each.member]
    if not cp_ids and not is_central_here(supervisor):
        return []
    try:
        points = central_of(supervisor).charging_points()["charging_points"]
    except (CentralAway, CentralRefused) as error:
        is_elsewhere = isinstance(error, CentralAway) and not is_central_here(supervisor)
        if is_elsewhere or is_standby(error):
            # Its HTTP need not be open to this host: the monitors know whether it has them.
            return [*_not_registered(supervisor, cp_ids)]
        # It may be on its way back.
        return [sentence_of(error).rstrip(".")]
    states = {each["cp_id"]: each["state"] for each in points}
    return [
        f"{cp_id} is {states.get(cp_id, 'not registered')}"
        for cp_id in cp_ids
        if states.get(cp_id) != "ON"
    ]


def _not_registered(supervisor: Supervisor, cp_ids: Sequence[str]) -> Iterator[str]:
    """Those of `cp_ids` whose monitor is not registered with Central, as it says itself."""
    monitors = {each.member: each for each in supervisor.programs() if each.group == MONITOR}
    for cp_id in cp_ids:
        config = config_of(monitors[cp_id]) if cp_id in monitors else None
        if not isinstance(config, MonitorConfig) or not config.metrics_port:
            yield f"{cp_id} can't be asked: neither Central nor its monitor answers here"
            continue
        answer = fetch(supervisor, config, "/health")
        if answer is None:
            yield f"the monitor of {cp_id} does not answer"
        elif answer.status != HTTPStatus.OK:
            yield f"{cp_id} is not registered with Central"


def remove_charging_point(supervisor: Supervisor, cp_id: str, force: bool, say: Say) -> None:
    """End its session, wait until its records are confirmed, stop it and forget it.

    Without `force` nothing is removed while a record could be lost.
    """
    found = {
        each.group: each
        for each in supervisor.programs()
        if each.member == cp_id and each.group in (ENGINE, MONITOR)
    }
    removal = _Removal(supervisor, cp_id, found.get(ENGINE), say)
    unit = f"cp-{cp_id}"
    if not found or not supervisor.has(unit):
        removal.forget_foreign()
    elif supervisor.pid() is not None:
        # The monitor first: it says BYE, and nobody sees the engine's end as a fault.
        names = [found[group].name for group in (MONITOR, ENGINE) if group in found]
        with removal.put_back_unless_done(names):
            removal.settle(force)
            for name in names:
                stop_those_there(supervisor, [name])
            removal.forget()
            supervisor.remove(unit)
            drop_token(supervisor, unit)
        supervisor.sync()
    elif force:
        removal.forget()
        supervisor.remove(unit)
        drop_token(supervisor, unit)
    else:
        raise ToolFailed(
            f"The network does not run, so nobody can say whether Central has all records of"
            f" {cp_id}. Start it (`evd up`), or remove it with --force: its engine's records"
            f" stay on its disk."
        )


@attrs.frozen
class _Removal:
    """One charging point on its way out; `engine` is None where only its monitor is defined."""

    supervisor: Supervisor
    cp_id: str
    engine: Program | None
    say: Say

    @property
    def central(self) -> Central:
        return central_of(self.supervisor)

    @contextlib.contextmanager
    def put_back_unless_done(self, names: Sequence[str]) -> Iterator[None]:
        """Make the charging point as it was before the block, where the block ends early."""
        in_service = self._is_in_service()
        running = [
            each.name for each in self.supervisor.status() if each.name in names and each.pid
        ]
        done = False
        try:
            yield
            done = True
        except KeyboardInterrupt:
            raise ToolFailed(f"Interrupted: {self.cp_id} was not removed.", INTERRUPTED) from None
        finally:
            if not done:
                with undisturbed():
                    with contextlib.suppress(SupervisorFailed):
                        self.supervisor.start(running)
                    if in_service:
                        self._resume()

    def _is_in_service(self) -> bool:
        """Whether it is on Central's list and not stopped; False where nobody can say."""
        try:
            view = self.central.charging_point(self.cp_id)
        except (CentralAway, CentralRefused):
            return False
        return view is not None and not view["stopped"]

    def _resume(self) -> None:
        try:
            self.central.resume_cp(self.cp_id)
        except (CentralAway, CentralRefused) as error:
            # 404: it has forgotten the charging point, and the stop with it.
            if not isinstance(error, CentralRefused) or error.status != 404:
                why = sentence_of(error).rstrip(".")
                self.say(f"{self.cp_id} may stay out of service: {why}. `evd doctor` says so then.")

    def settle(self, force: bool) -> None:
        """Wait until nothing of the charging point is open any more."""
        lost = ""
        try:
            if self.central.charging_point(self.cp_id) is not None:
                self.central.stop_cp(self.cp_id)
            end_s = time.monotonic() + SESSION_END_S
            while lost := self._open():
                if force or time.monotonic() > end_s:
                    break
                time.sleep(POLL_S)
        except CentralAway as error:
            lost = f"{sentence_of(error)} So nobody can say whether it has all records"
        except CentralRefused as error:
            lost = sentence_of(error)
        if not lost:
            return
        if not force:
            raise ToolFailed(
                f"{self.cp_id} was not removed. {lost.rstrip('.')}."
                " Its engine keeps on sending what is not confirmed: try again later, or remove it"
                " with --force; what is not confirmed then stays on its disk alone."
            )
        self.say(f"{self.cp_id}: removed by force. {lost.rstrip('.')}.")

    def _open(self) -> str:
        """A sentence about records that would be lost if it went now; empty if none."""
        active = self.central.sessions(cp_id=self.cp_id, status="ACTIVE", limit=1)
        if active:
            return f"Session {active[0]['session_id']} is still open"
        config = config_of(self.engine) if self.engine is not None else None
        if not isinstance(config, EngineConfig) or not config.metrics_port:
            return ""
        count = _unconfirmed(fetch(self.supervisor, config, "/metrics"))
        if count is None:
            return "Its engine does not answer, so nobody can say what it has not handed over yet"
        return f"Its engine keeps {count} records that Central has not confirmed" if count else ""

    def forget_foreign(self) -> None:
        """Take one that is none of ours off Central's list; ToolFailed if it is not on it."""
        try:
            known = self.central.charging_point(self.cp_id) is not None
        except CentralAway:
            known = False
        if not known:
            raise ToolFailed(f"There is no charging point {self.cp_id} here.")
        self.central.forget_cp(self.cp_id)

    def forget(self) -> None:
        """Take it off Central's list, once Central sees that its monitor has left."""
        end_s = time.monotonic() + FORGET_S
        while True:
            try:
                self.central.forget_cp(self.cp_id)
                return
            except CentralRefused as error:
                if error.status == 404:
                    return
                if time.monotonic() > end_s:
                    self.say(f"{self.cp_id} stays on Central's list: {sentence_of(error)}")
                    return
            except CentralAway as error:
                self.say(
                    f"{sentence_of(error)} If {self.cp_id} is on its list when it is back:"
                    f" evd cp remove {self.cp_id}"
                )
                return
            time.sleep(POLL_S)


def _unconfirmed(page: HttpAnswer | None) -> int | None:
    """The number of records that an engine keeps for Central, None if it does not say."""
    found = re.search(rb"^evd_sessions_buffered (\S+)$", page.body, re.M) if page else None
    return int(float(found[1])) if found else None
