"""The network that is measured: twenty charging points, one of them behind a relay, one driver."""

import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.network.brokers import EMBEDDED
from tests.network.central_http import Fields
from tests.network.network import Network
from tests.network.processes import Program, Relay, free_port
from tests.network.waiting import wait_until, wait_until_none

POINTS = 20
CP_IDS = tuple(f"CP-{number:03}" for number in range(1, POINTS + 1))
# This one's monitor reaches Central by the relay.
RELAYED = CP_IDS[-1]
DRIVER = "driver-alice"
# The length of a session is no setting of detection or recovery; shorter ones save time.
SESSION_S = 3.0
# The longest that is waited for anything before the run is given up.
PATIENCE_S = 30.0


class Waits:
    """The waits for the states of a network."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self._random = random.Random(1)

    def any_moment(self) -> None:
        """Wait for up to a second: a failure comes at any point of a period."""
        time.sleep(self._random.random())

    def seconds_until(self, condition: Callable[[], object], since_s: float, what: str) -> float:
        """How long after the monotonic `since_s` `condition` came true."""
        wait_until(condition, PATIENCE_S, what)
        return time.monotonic() - since_s

    def all_in_service(self, cp_ids: Sequence[str] = CP_IDS) -> bool:
        shown = self.network.shown()
        return all(_in_service(shown.get(cp_id, {})) for cp_id in cp_ids)

    def charge(self, cp_ids: Sequence[str]) -> dict[str, str]:
        """Begin a session at each, each for a driver of its own; the requests' ids by cp_id."""
        requests = {
            cp_id: self.network.request_charge(f"driver-of-{cp_id}", cp_id, PATIENCE_S)
            for cp_id in cp_ids
        }
        for request_id in requests.values():
            self.network.wait_request(request_id, "IN_PROGRESS", within_s=PATIENCE_S)
        return requests


class Scene(Waits):
    """A network that is up, and its driver."""

    def __init__(self, network: Network) -> None:
        """Start all of it, and wait until every charging point can take a driver."""
        super().__init__(network)
        network.broker.start_until_ready()
        network.central().start()
        # Between Central and the monitor of RELAYED.
        self.relay: Relay = network.relay(network.control_port)
        for cp_id in CP_IDS:
            point = network.charging_point(
                cp_id,
                engine_flags=(
                    *("--session-seconds", str(SESSION_S)),
                    *("--metrics-port", str(free_port())),
                ),
            )
            if cp_id == RELAYED:
                point.monitor.set_flag("--central-port", self.relay.port)
            point.start()
        self.driver: Program = network.driver(DRIVER, flags=("--http-port", str(free_port())))
        self.driver.start()
        network.wait_available(*CP_IDS, within_s=2 * PATIENCE_S)

    def driver_asks(self, cp_id: str) -> str:
        url = f"http://127.0.0.1:{self.driver.flag('--http-port')}/drivers/{DRIVER}/requests"
        answer = self.network.http.post(url, json={"cp_id": cp_id})
        answer.raise_for_status()
        request_id: str = answer.json()["request_id"]
        return request_id

    def driver_told(self, request_id: str, *statuses: str, since: int = 0) -> str | None:
        """The first line of one of these statuses; `since`: look only behind so many characters."""
        lines = (line.split(" | ") for line in self.driver.printed()[since:].splitlines())
        found = (each[1] for each in lines if len(each) > 2 and each[2] == request_id)
        return next((status for status in found if status in statuses), None)

    def buffered(self, cp_id: str) -> int:
        port = self.network.points[cp_id].engine.flag("--metrics-port")
        return int(self.network.metric("evd_sessions_buffered", int(port)))

    def wait_buffered(self, cp_ids: Sequence[str]) -> None:
        wait_until_none(lambda: [each for each in cp_ids if not self.buffered(each)], PATIENCE_S)

    def wait_confirmed(self, cp_ids: Sequence[str]) -> None:
        wait_until_none(lambda: [each for each in cp_ids if self.buffered(each)], PATIENCE_S)


def _in_service(point: Fields) -> bool:
    return bool(point) and point["state"] == "ON" and bool(point["available"])


@contextmanager
def scene_in(folder: Path, broker: str = EMBEDDED) -> Iterator[Scene]:
    """A scene that is up, on one of the brokers of `tests.network.brokers`."""
    with Network(folder, broker=broker) as network:
        yield Scene(network)
