"""A network of real programs: one broker, one Central, charging points, drivers."""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx

from tests.network import brokers
from tests.network.processes import Program, free_port, listens
from tests.network.waiting import wait_until

READY_S_MAX = brokers.READY_S_MAX

Fields = dict[str, Any]


class ChargingPoint:
    """An engine and its monitor."""

    def __init__(self, cp_id: str, engine: Program, monitor: Program, state_dir: Path) -> None:
        self.cp_id = cp_id
        self.engine = engine
        self.monitor = monitor
        self.engine_state_dir = state_dir

    def start(self) -> "ChargingPoint":
        """Start both."""
        self.engine.start()
        self.monitor.start()
        return self


class Network:
    """Everything that a test needs of a network; ends all of it at the end of the `with`."""

    def __init__(
        self,
        folder: Path,
        *,
        bootstrap: str | None = None,
        envs: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:
        """`bootstrap`: a Kafka of the test's own, instead of the embedded broker.
        `envs`: more environment variables for programs, by their names."""
        self.folder = folder
        self.envs = envs or {}
        self.broker_port = free_port()
        self.bootstrap = bootstrap or f"127.0.0.1:{self.broker_port}"
        self.control_port = free_port()
        self.http_port = free_port()
        self.feed_port = free_port()
        self.programs: dict[str, Program] = {}
        self.points: dict[str, ChargingPoint] = {}
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{self.http_port}", timeout=5.0)

    def __enter__(self) -> "Network":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.http.close()
        for program in self.programs.values():
            program.end()
        if kind is not None:
            self._tell_story()

    def _tell_story(self) -> None:
        for program in self.programs.values():
            tail = program.logged()[-3000:]
            print(f"----- {program.name}\n{tail}{program.printed()[-1500:]}")

    def program(self, name: str, *argv: str) -> Program:
        """Make a program, not started yet; its name stays with it."""
        if name in self.programs:
            raise ValueError(f"there is a {name} already")
        self.programs[name] = Program(name, argv, self.folder, self.envs.get(name))
        return self.programs[name]

    @property
    def broker(self) -> Program:
        """The broker on its port: see `brokers` for which."""
        if "broker" not in self.programs:
            self.programs["broker"] = brokers.make_broker(self.folder, self.broker_port)
        return self.programs["broker"]

    def central(self, *flags: str) -> Program:
        """Central, with more flags at its first call."""
        if "central" not in self.programs:
            self.program(
                "central",
                "evd-central",
                *("--kafka-bootstrap", self.bootstrap),
                *("--listen-port", str(self.control_port)),
                *("--http-port", str(self.http_port)),
                *("--feed-port", str(self.feed_port)),
                *("--state-dir", str(self.folder / "central")),
                *flags,
            )
        return self.programs["central"]

    def charging_point(
        self,
        cp_id: str,
        *,
        engine_flags: Sequence[str] = (),
        monitor_flags: Sequence[str] = (),
        name: str = "",
    ) -> ChargingPoint:
        """Make a charging point, not started yet; `name` where two have one `cp_id`."""
        name = name or cp_id
        port = free_port()
        state_dir = self.folder / "engines" / name
        engine = self.program(
            f"engine:{name}",
            "evd-engine",
            *("--cp-id", cp_id),
            *("--kafka-bootstrap", self.bootstrap),
            *("--health-port", str(port)),
            *("--state-dir", str(state_dir)),
            *engine_flags,
        )
        monitor = self.program(
            f"monitor:{name}",
            "evd-monitor",
            *("--cp-id", cp_id),
            *("--cp-e-port", str(port)),
            *("--central-port", str(self.control_port)),
            *("--state-dir", str(self.folder / "monitors" / name)),
            *monitor_flags,
        )
        self.points[name] = ChargingPoint(cp_id, engine, monitor, state_dir)
        return self.points[name]

    def driver(self, driver_id: str, *requests: str, flags: Sequence[str] = ()) -> Program:
        """Make a driver with the lines of its requests file, not started yet."""
        file = self.folder / f"{driver_id}.txt"
        file.write_text("".join(f"{line}\n" for line in requests))
        return self.program(
            driver_id,
            "evd-driver",
            *("--driver-id", driver_id),
            *("--kafka-bootstrap", self.bootstrap),
            *("--requests-file", str(file)),
            *("--state-dir", str(self.folder / "drivers" / driver_id)),
            *("--central-url", f"http://127.0.0.1:{self.http_port}"),
            *flags,
        )

    def up(self, *cp_ids: str, central_flags: Sequence[str] = (), **kwargs: Any) -> "Network":
        """Start broker, Central and charging points, and wait until all can take a driver."""
        if self.bootstrap.endswith(f":{self.broker_port}"):
            self.broker.start()
        self.central(*central_flags).start()
        for cp_id in cp_ids:
            self.charging_point(cp_id, **kwargs).start()
        self.wait_available(*cp_ids)
        self.wait_healthy()
        return self

    def get(self, path: str, **params: Any) -> Fields:
        """What Central answers to a GET, which must succeed."""
        answer = self.http.get(path, params=params)
        answer.raise_for_status()
        fields: Fields = answer.json()
        return fields

    def cp(self, cp_id: str) -> Fields:
        """A charging point as Central shows it; empty while Central does not, or is away."""
        try:
            answer = self.http.get(f"/cp/{cp_id}")
        except httpx.TransportError:
            return {}
        return answer.json() if answer.status_code == 200 else {}

    def wait_available(self, *cp_ids: str, within_s: float = READY_S_MAX) -> None:
        """Wait until Central holds back no more and each of these can take a driver."""
        for cp_id in cp_ids:
            wait_until(
                lambda cp_id=cp_id: self.cp(cp_id).get("available"),  # type: ignore[misc]
                within_s,
                f"{cp_id} is available: {self.cp(cp_id)}",
            )

    def wait_state(self, cp_id: str, state: str, within_s: float) -> Fields:
        """Wait until Central shows a charging point as `state`."""
        return (
            wait_until(
                lambda: (shown := self.cp(cp_id)).get("state") == state and shown,
                within_s,
                f"{cp_id} is shown {state}",
            )
            or {}
        )

    def ask(self, driver_id: str, cp_id: str | None, **more: Any) -> httpx.Response:
        """POST /request/charge."""
        return self.http.post(
            "/request/charge", json={"driver_id": driver_id, "cp_id": cp_id, **more}
        )

    def request_charge(self, driver_id: str, cp_id: str | None, within_s: float = 10.0) -> str:
        """Ask by HTTP until Central takes it; the request's id."""
        answer = wait_until(
            lambda: (a := self.ask(driver_id, cp_id)).status_code == 202 and a, within_s
        )
        if not answer:
            raise AssertionError("unreachable")
        request_id: str = answer.json()["request_id"]
        return request_id

    def request(self, request_id: str) -> Fields:
        """A request as Central stores it."""
        return self.get(f"/requests/{request_id}")

    def wait_request(self, request_id: str, *statuses: str, within_s: float = 20.0) -> Fields:
        """Wait until a request has one of these statuses."""
        return (
            wait_until(
                lambda: (row := self.request(request_id))["status"] in statuses and row,
                within_s,
                f"{request_id} is {statuses}",
            )
            or {}
        )

    def sessions(self, **params: Any) -> list[Fields]:
        """Sessions as Central stores them, newest first."""
        rows: list[Fields] = self.get("/sessions", limit=1000, **params)["sessions"]
        return rows

    def faults(self, cp_id: str | None = None) -> list[Fields]:
        """The history of faults, newest first."""
        params = {"cp_id": cp_id} if cp_id else {}
        rows: list[Fields] = self.get("/faults", limit=1000, **params)["faults"]
        return rows

    def wait_healthy(self, within_s: float = READY_S_MAX) -> None:
        """Wait until Central says that it can serve."""

        def healthy() -> bool:
            try:
                return self.http.get("/health").status_code == 200
            except httpx.TransportError:
                return False

        wait_until(healthy, within_s, "Central is healthy")

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """What a query finds in Central's database, as any other reader would see it."""
        path = self.folder / "central" / "central.db"
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)) as database:
            return database.execute(query, values).fetchall()

    def broker_answers(self) -> bool:
        """Whether something listens on the embedded broker's port."""
        return listens(self.broker_port)


@contextmanager
def network(folder: Path, *cp_ids: str, **kwargs: Any) -> Iterator[Network]:
    """A network that is up, with these charging points available."""
    with Network(folder) as made:
        yield made.up(*cp_ids, **kwargs)
