"""The network that is measured: twenty charging points, one of them behind a relay, one driver."""

import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.network import relay
from tests.network.brokers import EMBEDDED, make_broker
from tests.network.network import Fields, Network
from tests.network.processes import Program, free_port
from tests.network.waiting import wait_until
from tests.recovery.readiness import start_until_ready

POINTS = 20
CP_IDS = tuple(f"CP-{number:03}" for number in range(1, POINTS + 1))
# This one's monitor reaches Central by the relay.
RELAYED = CP_IDS[-1]
DRIVER = "driver-alice"
# The length of a session is no setting of detection or recovery; shorter ones save time.
SESSION_S = 3.0
# The longest that is waited for anything before the run is given up.
PATIENCE_S = 30.0


class Scene:
    """A network that is up, its driver, and how to wait for what becomes of it."""

    def __init__(self, network: Network, broker: str) -> None:
        self.network = network
        network.programs["broker"] = make_broker(network.folder, network.broker_port, broker)
        self._random = random.Random(1)
        self._metrics_ports = {cp_id: free_port() for cp_id in CP_IDS}
        self._driver_port = free_port()
        self._http = httpx.Client(timeout=5.0)

    def up(self) -> "Scene":
        """Start all of it, and wait until every charging point can take a driver."""
        network = self.network
        self.start(network.broker)
        network.central().start()
        relay_port = free_port()
        ports = (str(relay_port), str(network.control_port))
        network.program("relay", "python", str(Path(relay.__file__)), *ports).start()
        for cp_id in CP_IDS:
            by_relay = ("--central-port", str(relay_port)) if cp_id == RELAYED else ()
            network.charging_point(
                cp_id,
                engine_flags=(
                    *("--session-seconds", str(SESSION_S)),
                    *("--metrics-port", str(self._metrics_ports[cp_id])),
                ),
                monitor_flags=by_relay,
            ).start()
        network.driver(DRIVER, flags=("--http-port", str(self._driver_port))).start()
        network.wait_available(*CP_IDS, within_s=2 * PATIENCE_S)
        return self

    def close(self) -> None:
        """Close what it opened itself."""
        self._http.close()

    @property
    def relay(self) -> Program:
        """Between Central and the monitor of RELAYED."""
        return self.network.programs["relay"]

    @property
    def driver(self) -> Program:
        """The one driver."""
        return self.network.programs[DRIVER]

    def any_moment(self) -> None:
        """Wait for up to a second: a failure comes at any point of a period."""
        time.sleep(self._random.random())

    def seconds_until(self, condition: Callable[[], object], since_s: float, what: str) -> float:
        """How long after the monotonic `since_s` `condition` came true."""
        wait_until(condition, PATIENCE_S, what)
        return time.monotonic() - since_s

    def start(self, program: Program) -> float:
        """Start a program; the monotonic second at which it was ready."""
        return start_until_ready(program, self.network.folder)

    @contextmanager
    def only(self, *failing: Program) -> Iterator[None]:
        """Inside, nothing else may be restarted."""
        others = [each for each in self.network.programs.values() if each not in failing]
        before = {each.name: each.pid for each in others}
        yield
        after = {each.name: each.pid for each in others if each.alive}
        if before != after:
            raise AssertionError(f"restarted as well: {set(before.items()) ^ set(after.items())}")

    # What is shown

    def shown(self) -> dict[str, Fields]:
        """The charging points as Central shows them, by id; empty while it is away."""
        try:
            answer = self.network.http.get("/cp", params={"limit": 1000})
        except httpx.TransportError:
            return {}
        points = answer.json()["charging_points"] if answer.status_code == 200 else []
        return {point["cp_id"]: point for point in points}

    def all_in_service(self, cp_ids: Sequence[str] = CP_IDS) -> bool:
        """Whether all of these are ON and could take a driver."""
        shown = self.shown()
        return all(_in_service(shown.get(cp_id, {})) for cp_id in cp_ids)

    # Sessions

    def charge(self, cp_ids: Sequence[str]) -> dict[str, str]:
        """Begin a session at each, each for a driver of its own; the requests' ids by cp_id."""
        requests = {
            cp_id: self.network.request_charge(f"driver-of-{cp_id}", cp_id, PATIENCE_S)
            for cp_id in cp_ids
        }
        for request_id in requests.values():
            self.network.wait_request(request_id, "IN_PROGRESS", within_s=PATIENCE_S)
        return requests

    def driver_asks(self, cp_id: str) -> str:
        """Have the driver ask for a charge; the request's id."""
        path = f"http://127.0.0.1:{self._driver_port}/drivers/{DRIVER}/requests"
        answer = self._http.post(path, json={"cp_id": cp_id})
        answer.raise_for_status()
        request_id: str = answer.json()["request_id"]
        return request_id

    def driver_told(self, request_id: str, *statuses: str, since: int = 0) -> str | None:
        """The first line of one of these statuses; `since`: look only behind so many characters."""
        lines = (line.split(" | ") for line in self.driver.printed()[since:].splitlines())
        found = (each[1] for each in lines if len(each) > 2 and each[2] == request_id)
        return next((status for status in found if status in statuses), None)

    def buffered(self, cp_id: str) -> int:
        """How many sessions an engine keeps that Central has not confirmed."""
        answer = self._http.get(f"http://127.0.0.1:{self._metrics_ports[cp_id]}/metrics")
        prefix = "evd_sessions_buffered "
        line = next(each for each in answer.text.splitlines() if each.startswith(prefix))
        return int(float(line.removeprefix(prefix)))

    def wait_buffered(self, cp_ids: Sequence[str]) -> None:
        """Wait until the session at each of these is over, and waits for Central."""
        for cp_id in cp_ids:
            wait_until(lambda cp_id=cp_id: self.buffered(cp_id), PATIENCE_S, f"{cp_id} buffers")  # type: ignore[misc]

    def wait_confirmed(self, cp_ids: Sequence[str]) -> None:
        """Wait until no engine keeps a session that Central has not confirmed."""
        for cp_id in cp_ids:
            wait_until(
                lambda cp_id=cp_id: self.buffered(cp_id) == 0,  # type: ignore[misc]
                PATIENCE_S,
                f"the session of {cp_id} is confirmed",
            )


def _in_service(point: Fields) -> bool:
    return bool(point) and point["state"] == "ON" and bool(point["available"])


@contextmanager
def scene_in(folder: Path, broker: str = EMBEDDED) -> Iterator[Scene]:
    """A scene that is up, on one of the brokers of `tests.network.brokers`."""
    with Network(folder) as network:
        scene = Scene(network, broker)
        try:
            yield scene.up()
        finally:
            scene.close()
