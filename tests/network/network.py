"""A network of real programs: one broker, one Central, charging points, drivers."""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Self

import attrs
import httpx

from tests.network import brokers
from tests.network.central_http import ANSWER_S_MAX, CentralHttp
from tests.network.certificates import Certificates
from tests.network.processes import Program, Relay, free_port

READY_S_MAX = brokers.READY_S_MAX


@attrs.frozen
class ChargingPoint:
    """An engine and its monitor."""

    engine: Program
    monitor: Program
    engine_state_dir: Path

    def start(self) -> "ChargingPoint":
        self.engine.start()
        self.monitor.start()
        return self


class Network(CentralHttp):
    """A network of real programs; the end of the `with` ends all of them."""

    def __init__(
        self,
        folder: Path,
        *,
        broker: str = brokers.KIND,
        nodes: Sequence[Program] = (),
        bootstrap: str | None = None,
        envs: Mapping[str, Mapping[str, str]] | None = None,
        certificates: Certificates | None = None,
    ) -> None:
        """`broker`: which of `brokers`; or `nodes` and `bootstrap` of a Kafka of the test's own.
        `envs`: more environment variables for programs, by their names.  `certificates`: Central's
        ports speak TLS, and monitors and drivers dial it so."""
        self.folder = folder
        self.certificates = certificates
        self.envs = envs or {}
        self.broker_port = free_port()
        self.bootstrap = bootstrap or f"127.0.0.1:{self.broker_port}"
        self.control_port = free_port()
        self.http_port = free_port()
        self.feed_port = free_port()
        # The story of a test that fails is the nodes' too.
        self.programs: dict[str, Program] = {node.name: node for node in nodes}
        self.broker = nodes[0] if nodes else brokers.make_broker(folder, self.broker_port, broker)
        self.programs["broker"] = self.broker
        self.points: dict[str, ChargingPoint] = {}
        self.url = f"{'https' if certificates else 'http'}://127.0.0.1:{self.http_port}"
        verify = certificates.trusting() if certificates else False
        # That of a database server, where Central has no file of its own.
        self.db_url = ""
        super().__init__(httpx.Client(base_url=self.url, timeout=ANSWER_S_MAX, verify=verify))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.http.close()
        states = [program.state for program in self.programs.values()]
        for program in self.programs.values():
            program.end()
        if kind is None:
            return
        for program, state in zip(self.programs.values(), states, strict=True):
            tail = program.logged()[-3000:]
            print(f"----- {program.name} ({state})\n{tail}{program.printed()[-1500:]}")

    def program(self, name: str, *argv: str) -> Program:
        """Make a program, not started yet; its name stays with it."""
        if name in self.programs:
            raise ValueError(f"there is a {name} already")
        self.programs[name] = Program(name, argv, self.folder, self.envs.get(name))
        return self.programs[name]

    def central(self, *flags: str) -> Program:
        """Central, with more flags at its first call."""
        if "central" not in self.programs:
            ports = (self.http_port, self.control_port, self.feed_port)
            self.another_central("central", ports, self.folder / "central", *flags)
        return self.programs["central"]

    def another_central(
        self, name: str, ports: tuple[int, int, int], state_dir: Path, *flags: str
    ) -> Program:
        """Make a Central of that name, on ports for HTTP, monitors and the feed."""
        http_port, control_port, feed_port = map(str, ports)
        return self.program(
            name,
            "evd-central",
            *("--kafka-bootstrap", self.bootstrap),
            *("--http-port", http_port),
            *("--listen-port", control_port),
            *("--feed-port", feed_port),
            *("--state-dir", str(state_dir)),
            *(self.certificates.server_flags if self.certificates else ()),
            *flags,
        )

    @property
    def _dial_flags(self) -> tuple[str, ...]:
        return self.certificates.client_flags if self.certificates else ()

    def relay(self, target_port: int) -> Relay:
        """Start a relay to a port of this network."""
        relay = self.programs["relay"] = Relay("relay", self.folder, target_port)
        relay.start()
        return relay

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
            *self._dial_flags,
            *monitor_flags,
        )
        self.points[name] = ChargingPoint(engine, monitor, state_dir)
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
            *("--central-url", self.url),
            *self._dial_flags,
            *flags,
        )

    def up(self, *cp_ids: str, central_flags: Sequence[str] = (), **kwargs: Any) -> "Network":
        """Start broker, Central and charging points, and wait until all can take a driver."""
        if not self.broker.alive:
            self.broker.start()
        self.central(*central_flags).start()
        for cp_id in cp_ids:
            self.charging_point(cp_id, **kwargs).start()
        self.wait_available(*cp_ids)
        self.wait_healthy()
        return self

    @contextmanager
    def only(self, *failing: Program) -> Iterator[None]:
        """Let nobody but these programs end or be restarted inside the block."""
        others = [each for each in self.programs.values() if each not in failing and each.alive]
        before = {each.name: each.pid for each in others}
        yield
        after = {each.name: each.pid for each in others if each.alive}
        assert after == before, set(after.items()) ^ set(before.items())

    @property
    def database(self) -> Path:
        """The file of Central's database."""
        return self.folder / "central" / "central.db"

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        file = f"file:{self.database}?mode=ro"
        with closing(sqlite3.connect(file, uri=True, timeout=5)) as database:
            return database.execute(query, values).fetchall()
