"""A network with several Centrals on one PostgreSQL database, each behind a relay to it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import psycopg

from tests.adapters.store.databases import PostgresServer, new_postgres_url
from tests.network.central_http import ANSWER_S_MAX
from tests.network.network import ChargingPoint, Network
from tests.network.processes import Program, Relay, free_port
from tests.network.serving import Serving
from tests.network.waiting import wait_until

POSTGRES_PORT = 5432
BOUND_S = 60.0


def relay_to(server: PostgresServer, name: str, folder: Path) -> Relay:
    """A relay to a database server, not started yet."""
    return Relay(name, folder, POSTGRES_PORT, server.address)


def by_relay(db_url: str, relay: Relay) -> str:
    """The URL of a database as it is reached by a relay."""
    return str(httpx.URL(db_url).copy_with(host="127.0.0.1", port=relay.port))


class AtPort(httpx.BaseTransport):
    """The way to a port of this machine, whichever one is asked for."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._transport = httpx.HTTPTransport()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """The answer from that port."""
        request.url = request.url.copy_with(port=self._port)
        return self._transport.handle_request(request)

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()


class SeveralCentrals(Network):
    """A network whose monitors and drivers know all of its Centrals; HTTP goes to the one that
    serves."""

    def __init__(
        self, folder: Path, server: PostgresServer, *, count: int = 2, **kwargs: Any
    ) -> None:
        super().__init__(folder, **kwargs)
        self.db_url = new_postgres_url(server.directory, by_tcp=True)
        self.ports = [(free_port(), free_port(), free_port()) for _ in range(count)]
        self.db_relays = [relay_to(server, f"db-relay-{n}", folder) for n in range(count)]
        self.centrals = [self._make(number) for number in range(count)]
        self.http.close()
        self.serving = Serving({str(n): AtPort(ports[0]) for n, ports in enumerate(self.ports)})
        self.http = httpx.Client(
            base_url=self.url, timeout=ANSWER_S_MAX, mounts={self.url: self.serving}
        )
        self.hosts = ",".join(f"127.0.0.1:{control}" for _, control, _ in self.ports)
        self.urls = ",".join(f"http://127.0.0.1:{http}" for http, _, _ in self.ports)

    def _make(self, number: int) -> Program:
        relay, name = self.db_relays[number], f"central-{number}"
        self.programs[relay.name] = relay
        flags = ("--db-url", by_relay(self.db_url, relay))
        return self.another_central(name, self.ports[number], self.folder / name, *flags)

    def start_centrals(self) -> None:
        """Start all, the first of them first, which then serves."""
        for number, central in enumerate(self.centrals):
            self.db_relays[number].start()
            central.start_until_ready()
            if number == 0:
                wait_until(lambda: self.serves(0), BOUND_S, "the first Central serves")
        others = range(1, len(self.centrals))
        wait_until(lambda: all(map(self.stands_by, others)), BOUND_S, "the others stand by")
        told = f"evd_central_standbys {len(others)}.0"
        wait_until(lambda: told in self.http.get("/metrics").text, BOUND_S, told)

    def charging_point(
        self, cp_id: str, *, monitor_flags: Sequence[str] = (), **kwargs: Any
    ) -> ChargingPoint:
        """Make a charging point whose monitor knows all Centrals."""
        flags = ("--central-host", self.hosts, *monitor_flags)
        return super().charging_point(cp_id, monitor_flags=flags, **kwargs)

    def driver(self, driver_id: str, *requests: str, flags: Sequence[str] = ()) -> Program:
        """Make a driver who knows all Centrals."""
        return super().driver(driver_id, *requests, flags=("--central-url", self.urls, *flags))

    def answer_of(self, number: int, path: str) -> httpx.Response | None:
        """The answer of one Central; None while there is none."""
        url = f"http://127.0.0.1:{self.ports[number][0]}{path}"
        try:
            return httpx.get(url, timeout=ANSWER_S_MAX)
        except httpx.TransportError:
            return None

    def serves(self, number: int) -> bool:
        """Whether one Central answers a question about the network."""
        answer = self.answer_of(number, "/cp")
        return answer is not None and answer.status_code == 200

    def stands_by(self, number: int) -> bool:
        """Whether one Central says that it stands by."""
        answer = self.answer_of(number, "/health")
        return answer is not None and "standing by for" in answer.text

    def shows_all_on(self, number: int) -> bool:
        """Whether one Central serves, and has heard of each charging point that all is well."""
        answer = self.answer_of(number, "/cp")
        if answer is None or answer.status_code != 200:
            return False
        shown = answer.json()["charging_points"]
        return len(shown) == len(self.points) and all(each["state"] == "ON" for each in shown)

    def identity(self) -> tuple[str, int]:
        """The id of all the Centrals together, and the number of times that one of them began."""
        with psycopg.connect(self.db_url.replace("+psycopg", "")) as connection:
            row = connection.execute("SELECT central_id, epoch FROM meta").fetchone()
        assert row is not None
        return str(row[0]), int(row[1])
