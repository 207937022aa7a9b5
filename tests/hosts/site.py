"""The network on its hosts: how a test asks it for sessions, and holds it to its promises."""

import contextlib
import itertools
import ssl
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar, Final

import attrs
import httpx
import pytest

from evd.protection import with_password
from tests.hosts import netns
from tests.hosts.commands import CommandFailed
from tests.hosts.host import Host
from tests.hosts.lab import Lab
from tests.network import checker
from tests.network.central_http import ANSWER_S_MAX, CentralHttp
from tests.network.checker import Facts, Finding, Promise, Row
from tests.network.serving import Serving
from tests.network.waiting import wait_until, wait_until_none

# The hosts of ansible/inventories/lab, each with the last number of its address.
HOSTS: Final = {"kafka1": 1, "kafka2": 2, "kafka3": 3, "cp1": 11, "cp2": 12}
NETWORK: Final = "198.51.100"
CENTRAL: Final = "kafka1"
KAFKAS: Final = ("kafka1", "kafka2", "kafka3")
POINTS: Final = {"CP-001": "cp1", "CP-002": "cp1", "CP-003": "cp2", "CP-004": "cp2"}
DRIVERS: Final = {"driver-alice": "cp1", "driver-bob": "cp2"}
# Each charging point's driver in `begin_sessions`; the last two have no program of their own.
CHARGING: Final = {
    "CP-001": "driver-alice",
    "CP-003": "driver-bob",
    "CP-002": "driver-carol",
    "CP-004": "driver-dave",
}
DRIVER_PORT: Final = 8080
STATE: Final = Path("var/lib/evd")
UNITS: Final = ("evd-*.service", "kafka.service", "postgresql@*.service")

# The longest that is waited for anything before a test is given up; no promise.
PATIENCE_S: Final = 120.0
LOOK_S: Final = 0.1
ASK_S: Final = 0.5

# Sessions, and requests by their ids, as a database has them.
Stored = tuple[list[Row], dict[str, Row]]
# A unit of a host: `cp1/evd-monitor@CP-001.service`.
Pids = Mapping[str, int]


@attrs.frozen
class Kind:
    """Hosts of which site.yml makes a network: the names and numbers of all, who of them has a
    Central, and who the database that these share."""

    name: str
    security: str
    hosts: Mapping[str, int]
    centrals: tuple[str, ...] = (CENTRAL,)
    database: str = ""
    # The files of tests that have them; the others have PLAIN.
    tests: frozenset[str] = frozenset()

    @property
    def is_closed(self) -> bool:
        """Whether nobody gets in there without TLS and a token."""
        return self.security == "closed"


CLOSED: Final = Kind(
    "closed",
    "closed",
    HOSTS,
    tests=frozenset(
        (
            *("test_bare_hosts", "test_closed", "test_disks_and_clocks", "test_links"),
            *("test_power", "test_settings", "test_units"),
        )
    ),
)
# Enough of them for the playbooks of a day: all daemons, and Kafka on one host.
PLAIN: Final = Kind("plain", "plain", {name: HOSTS[name] for name in (CENTRAL, "cp1", "cp2")})
# One Central stands by for another, and their database has a host of its own.
STANDBY: Final = Kind(
    "standby",
    "closed",
    {"kafka1": 1, "pg": 5, "central1": 6, "central2": 7, "cp1": 11, "cp2": 12},
    ("central1", "central2"),
    "pg",
    frozenset(("test_standby", "test_standby_changes")),
)
KINDS: Final = (CLOSED, STANDBY, PLAIN)


def kind_of(node_id: str) -> Kind:
    """The hosts that a test has."""
    file = Path(node_id.partition("::")[0]).stem
    return next((kind for kind in KINDS if file in kind.tests), PLAIN)


@attrs.define
class Figures:
    """The seconds that were measured in a run, by what lies between their beginning and end."""

    KEY: ClassVar = pytest.StashKey["Figures"]()
    # The property of a test's report that has them.
    PROPERTY: ClassVar = "figures"

    seconds: dict[str, float] = attrs.Factory(dict)

    def note(self, what: str, seconds: float) -> float:
        self.seconds[what] = seconds
        return seconds


class Site(CentralHttp):
    """Central's HTTP is asked from Central's own host: it answers whatever is cut.  Of several the
    one that serves is asked."""

    def __init__(self, lab: Lab, figures: Figures, kind: Kind = PLAIN) -> None:
        self.lab = lab
        self.figures = figures
        self.centrals = [lab.hosts[name] for name in kind.centrals]
        self._has_server = bool(kind.database)
        self.points = dict(POINTS)
        # Those of them that were taken away; what they wrote down stays.
        self.removed: set[str] = set()
        super().__init__(client_of(self.central, 8000))
        self._drivers: dict[str, httpx.Client] = {}
        # Each Central alone, where it is asked by its socket.
        self._each: dict[str, CentralHttp] = {}
        self.ask_pages(by_tls=kind.is_closed)
        if kind.is_closed:
            self.ask_by_socket()

    @property
    def central(self) -> Host:
        """The host of Central, the first one of several."""
        return self.centrals[0]

    def ask_by_socket(self) -> None:
        """Ask Central from now on as root of its host does, who needs no token."""
        self.http.close()
        self._each = {host.name: CentralHttp(_by_socket(socket_of(host))) for host in self.centrals}
        self.http = _by_socket(Serving({host.name: socket_of(host) for host in self.centrals}))

    def ask_pages(self, *, by_tls: bool, plainly: str = "") -> None:
        """Ask the drivers' pages from now on plainly, or by TLS and with their drivers' tokens;
        those of the host `plainly` not so."""
        for driver_id, name in DRIVERS.items():
            if driver_id in self._drivers:
                self._drivers[driver_id].close()
            host = self.lab.hosts[name]
            if by_tls and name != plainly:
                token = (host.root / "etc/evd/tokens" / f"driver-{driver_id}").read_text().strip()
                self._drivers[driver_id] = tls_client_of(host, DRIVER_PORT, token)
            else:
                self._drivers[driver_id] = client_of(host, DRIVER_PORT)

    def close(self) -> None:
        alone = [central.http for central in self._each.values()]
        for client in (self.http, *alone, *self._drivers.values()):
            client.close()

    def host_of(self, cp_id: str) -> Host:
        return self.lab.hosts[self.points[cp_id]]

    def wait_ready(self, within_s: float = PATIENCE_S) -> None:
        """Wait until every charging point can take a driver, and every driver's page answers."""
        wait_until_none(self.lame, within_s, "all is ready", LOOK_S)

    def lame(self) -> dict[str, str]:
        """Everything that is not as it should be, each with why; empty where all is well."""
        shown = self.shown()
        found = {}
        for cp_id in self.points.keys() - self.removed:
            point = shown.get(cp_id, {})
            if point.get("state") != "ON":
                found[cp_id] = str(point.get("state", "not shown"))
            elif not point["available"] and not point["current_session"]:
                found[cp_id] = f"not free: {point['unavailable_reason']}"
        if self.health() != 200:
            found["evd-central"] = "not healthy"
        for driver_id, client in self._drivers.items():
            try:
                status = client.get("/health").status_code
            except httpx.TransportError as error:
                found[driver_id] = str(error)
            else:
                if status != 200:
                    found[driver_id] = f"its page answers {status}"
        return found

    def driver_asks(self, driver_id: str, cp_id: str | None) -> str:
        """Ask on a driver's page until it is taken; the request's id."""
        path = f"/drivers/{driver_id}/requests"
        client = self._drivers[driver_id]

        def asked() -> str | None:
            try:
                answer = client.post(path, json={"cp_id": cp_id})
            except httpx.TransportError:
                return None
            return answer.json()["request_id"] if answer.status_code == 202 else None

        return wait_until(asked, PATIENCE_S, f"{driver_id}'s page takes a request", LOOK_S)

    def name_of_serving(self) -> str:
        """The host whose Central serves, once another one stands by that could take over."""

        def found() -> str:
            for name, central in self._each.items():
                try:
                    health = central.http.get("/health")
                except httpx.TransportError:
                    continue
                if health.status_code == 200 and any(
                    each["kafka_up"] for each in health.json()["standbys"]
                ):
                    return name
            return ""

        return wait_until(found, PATIENCE_S, "one Central serves, another one stands by")

    def is_well_at(self, name: str) -> bool:
        """Whether the Central of this host serves, and shows every charging point ON."""
        shown = self._each[name].shown()
        return shown.keys() == self.points.keys() and all(
            each["state"] == "ON" for each in shown.values()
        )

    def begin_sessions(self) -> dict[str, str]:
        """Begin a session at each charging point; the requests' ids by charging point."""
        requests = {}
        for cp_id, driver_id in CHARGING.items():
            if driver_id in self._drivers:
                requests[cp_id] = self.driver_asks(driver_id, cp_id)
            else:
                requests[cp_id] = self.request_charge(driver_id, cp_id, PATIENCE_S)
        for request_id in requests.values():
            wait_until(lambda: self._has_begun(request_id), PATIENCE_S, f"{request_id} begins")  # noqa: B023
        return requests

    def serve_each(self) -> None:
        """Ask at each charging point until a session has ended well there: a request whose order
        came too late to its engine is over, and its driver asks anew."""
        with ThreadPoolExecutor(len(CHARGING)) as pool:
            list(pool.map(self._serve, CHARGING.values(), CHARGING))

    def _serve(self, driver_id: str, cp_id: str) -> None:
        wait_until(lambda: self._served(driver_id, cp_id), PATIENCE_S, f"{cp_id} serves")

    def _served(self, driver_id: str, cp_id: str) -> bool:
        request_id = self.request_charge(driver_id, cp_id, PATIENCE_S)
        over = ("COMPLETED", "DENIED", "FAILED")
        ended = self.wait_request(request_id, *over, within_s=PATIENCE_S)
        return bool(ended["status"] == "COMPLETED")

    def whole_sessions(self) -> None:
        """Begin a session at each charging point, and wait until all have ended well."""
        for request_id in self.begin_sessions().values():
            self.wait_request(request_id, "COMPLETED", within_s=PATIENCE_S)

    def _has_begun(self, request_id: str) -> bool:
        """Whether the engine has said that it charges; before it is stored it can't be read."""
        answer = self.http.get(f"/requests/{request_id}")
        begun = ("IN_PROGRESS", "COMPLETED")
        return answer.status_code == 200 and answer.json()["status"] in begun

    @contextmanager
    def busy(self) -> Iterator[None]:
        """Let drivers ask at every free charging point within the block, again and again."""
        over = threading.Event()

        def ask() -> None:
            for number in itertools.count():
                for cp_id, point in self.shown().items():
                    if point["available"]:
                        with contextlib.suppress(httpx.TransportError):
                            self.ask(f"driver-{number}-{cp_id}", cp_id)
                if over.wait(ASK_S):
                    return

        asking = threading.Thread(target=ask, daemon=True)
        asking.start()
        try:
            yield
        finally:
            over.set()
            asking.join()

    def wait_charging(self, cp_id: str) -> None:
        wait_until(
            lambda: self.cp(cp_id).get("current_session"), PATIENCE_S, f"{cp_id} charges", LOOK_S
        )

    def wait_shown(self, state: str, cp_ids: Iterable[str], within_s: float = PATIENCE_S) -> None:
        """Wait until Central shows all of these in that state."""

        def others() -> dict[str, object]:
            shown = self.shown()
            states = {cp_id: shown.get(cp_id, {}).get("state") for cp_id in cp_ids}
            return {cp_id: each for cp_id, each in states.items() if each != state}

        wait_until_none(others, within_s, f"shown {state}")

    def note_until(self, what: str, since_s: float, wait: Callable[[], object]) -> float:
        """Wait, and keep under `what` how long after the monotonic `since_s` it was over."""
        wait()
        return self.figures.note(what, time.monotonic() - since_s)

    @contextmanager
    def noted(self, what: str) -> Iterator[None]:
        """Keep under `what` how long the block took."""
        began_s = time.monotonic()
        yield
        self.figures.note(what, time.monotonic() - began_s)

    def pids(self, *names: str) -> Pids:
        """The main process of each unit that runs, on these hosts, or on all that are up."""
        found = {}
        for host in (self.lab.hosts[name] for name in names or self.lab.hosts):
            if not host.is_up:
                continue
            shown = host.sh(f"systemctl show --property=Id,MainPID {' '.join(map(repr, UNITS))}")
            for unit in shown.split("\n\n"):
                fields = dict(line.split("=", 1) for line in unit.splitlines())
                if fields.get("MainPID", "0") != "0":
                    found[f"{host.name}/{fields['Id']}"] = int(fields["MainPID"])
        return found

    @contextmanager
    def only(self, *failing: str) -> Iterator[None]:
        """Let nobody but units with one of these in their names, such as `cp1/` or `evd-central`,
        end or be restarted inside the block."""
        before = self.pids()
        yield
        after = self.pids()
        changed = {
            unit
            for unit, pid in before.items()
            if after.get(unit) != pid and not any(each in unit for each in failing)
        }
        assert not changed, f"restarted, or ended, besides {failing}: {changed}"

    def facts(self) -> Facts:
        """All that the parts wrote down, read from the hosts' disks and journals."""
        said = {
            driver_id: self.lab.hosts[name].journal(
                f"--unit=evd-driver@{driver_id}.service", "--output=cat"
            )
            for driver_id, name in DRIVERS.items()
        }
        return checker.gather_from(
            self._stored(),
            {
                cp_id: self.host_of(cp_id).root / STATE / "evd-engine" / cp_id
                for cp_id in self.points
            },
            {driver_id: (text, text) for driver_id, text in said.items()},
        )

    def _stored(self) -> Stored:
        """The sessions and requests in Central's database, be it a file or on a host of its own."""
        if not self._has_server:
            return checker.read_central(self.central.root / STATE / "evd-central" / "central.db")
        host = next(host for host in self.centrals if host.is_up)
        address, password = (
            (host.root / "etc/evd/credentials" / name).read_text().strip()
            for name in ("db-url", "db-password")
        )
        there = address.replace("sslrootcert=", f"sslrootcert={host.root}")
        with netns.inside(host.namespace):
            return checker.read_server(with_password(there, password))

    def hold_promises(
        self, *, disks_lost: Collection[str] = (), central_lost: bool = False
    ) -> Facts:
        """Wait until all is well again and at rest, then hold it to what must always be true."""
        self.wait_ready()
        facts = checker.hold(
            self.facts,
            lambda _: self._ended_by_themselves(),
            within_s=PATIENCE_S,
            disks_lost=disks_lost,
            central_lost=central_lost,
        )
        # A charging point that had a session then may only now be free, or not be.
        self.wait_ready()
        return facts

    def _ended_by_themselves(self) -> Iterable[Finding]:
        for host in self.lab.hosts.values():
            try:
                crashed = host.journal("--unit=evd-*", "--grep=Crashed: ", "--output=cat")
            except CommandFailed:
                # No line has it.
                crashed = ""
            failed = host.sh("systemctl list-units --failed --plain --no-legend 'evd*' 'kafka*'")
            for text in filter(None, (crashed, failed)):
                yield Promise.ALIVE, f"{host.name}: {text}"

    def story(self) -> str:
        """The end of what the units of each host said."""
        return "\n".join(
            f"----- {name}\n{host.journal('--lines=80', '--output=short-precise')}"
            for name, host in self.lab.hosts.items()
        )


def socket_of(host: Host) -> httpx.HTTPTransport:
    """The way to the admin socket of Central on a host."""
    return httpx.HTTPTransport(uds=str(host.root / STATE / "evd-central" / "admin.sock"))


def _by_socket(transport: httpx.BaseTransport) -> httpx.Client:
    return httpx.Client(base_url="http://localhost", transport=transport, timeout=ANSWER_S_MAX)


def client_of(host: Host, port: int) -> httpx.Client:
    """HTTP to a port of a host, as a program on it would ask."""
    return httpx.Client(
        base_url=f"http://127.0.0.1:{port}",
        transport=netns.Transport(host.namespace),
        timeout=ANSWER_S_MAX,
    )


def tls_client_of(host: Host, port: int, token: str = "") -> httpx.Client:
    """The same by TLS, where the site's own authority is believed."""
    context = ssl.create_default_context(cafile=str(host.root / "etc/evd/tls/ca.pem"))
    return httpx.Client(
        base_url=f"https://127.0.0.1:{port}",
        transport=netns.Transport(host.namespace, verify=context),
        headers={"Authorization": f"Bearer {token}"} if token else {},
        timeout=ANSWER_S_MAX,
    )
