"""Partners of the tool: a Central that answers as it is told, a supervisor without processes."""

import contextlib
import http.server
import json
import socket
import socketserver
import ssl
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs

import evd.cli
from evd.adapters.files.state_dir import write_secret
from evd.adapters.http.central_client import Central
from evd.adapters.supervisor.protocol import (
    CentralGiven,
    ProcessState,
    ProcessStatus,
    Program,
    Sync,
)
from tests.network.certificates import Certificates

# A status, a body (fields, or bytes as they are) and headers.
Answer = tuple[int, Any, dict[str, str]]


@attrs.define
class Answers:
    """Answers of a Central that is none: one after the other, the last one for ever."""

    answers: list[Answer]
    asked: list[tuple[str, str, Any]] = attrs.field(factory=list)
    # The credentials of each call.
    tokens: list[str | None] = attrs.field(factory=list)


class UnixServer(http.server.ThreadingHTTPServer):
    """A server on a Unix socket, whose path is its address."""

    address_family = socket.AF_UNIX

    def server_bind(self) -> None:
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "localhost", 0

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, _ = self.socket.accept()
        return connection, ("local", 0)


@contextmanager
def answering(
    answers: Answers, at: Path | None = None, tls: Certificates | None = None
) -> Iterator[Central]:
    """A server that gives these answers, on a port or on the Unix socket `at`."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            size = int(self.headers.get("Content-Length", 0))
            asked = json.loads(self.rfile.read(size)) if size else None
            answers.asked.append((self.command, self.path, asked))
            answers.tokens.append(self.headers.get("Authorization"))
            last = len(answers.answers) == 1
            status, body, headers = answers.answers[0] if last else answers.answers.pop(0)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            with contextlib.suppress(ConnectionError):
                self.wfile.write(body if isinstance(body, bytes) else json.dumps(body).encode())

        do_POST = do_GET  # noqa: N815
        do_DELETE = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    if at is None:
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    else:
        server = UnixServer(str(at), Handler)  # type: ignore[arg-type]
    if tls is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tls.cert, tls.key)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        scheme = "http" if tls is None else "https"
        yield Central(f"{scheme}://127.0.0.1:{server.server_port}")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@attrs.define
class Supervised:
    """A supervisor that has no process: what is defined runs from its `sync`, if it is up."""

    defined: list[Program] = attrs.field(factory=list)
    is_up: bool = False
    var: Path = Path("/net/var")
    # The error of a stop, the state after a first start, and the calls in their order.
    stop_fails: BaseException | None = None
    first_state: ProcessState = ProcessState.RUNNING
    done: list[tuple[str, ...]] = attrs.field(factory=list)
    states: dict[str, ProcessState] = attrs.field(factory=dict)
    units: dict[str, list[Program]] = attrs.field(factory=dict)
    drifted: Sync = Sync()
    # Where Central is, if it is none of the programs; several with commas between them.
    elsewhere: str | None = None
    name: str = "supervisord"
    logs_are: str = "logs in /net/var/log"
    conf: Path = Path("/net/supervisord.conf")
    root: Path = Path("/net")
    log: Path = Path("/net/var/log/supervisord.log")
    given: CentralGiven = CentralGiven()

    def __attrs_post_init__(self) -> None:
        self.sync()

    def pid(self) -> int | None:
        return 1 if self.is_up else None

    def make_folders(self) -> None:
        (self.var / "run").mkdir(parents=True, exist_ok=True)

    def left_behind(self) -> list[int]:
        return []

    def programs(self) -> list[Program]:
        return [*self.defined, *(each for unit in self.units.values() for each in unit)]

    def status(self) -> list[ProcessStatus]:
        running = ProcessState.RUNNING
        return [
            ProcessStatus(name, state, 1 if state is running else None, 9.0, "")
            for name, state in self.states.items()
        ]

    def starts(self, _: int) -> dict[str, int]:
        return {}

    def start(self, names: Sequence[str]) -> None:
        self.done.append(("start", *names))
        self.states.update(dict.fromkeys(names, ProcessState.RUNNING))

    def stop(self, names: Sequence[str]) -> None:
        self.done.append(("stop", *names))
        self.states.update(dict.fromkeys(names, ProcessState.STOPPED))
        if self.stop_fails is not None:
            raise self.stop_fails

    def launch(self) -> "subprocess.Popen[bytes]":
        raise NotImplementedError

    def up(self) -> None:
        self.is_up = True

    def shut_down(self) -> None:
        self.is_up = False

    def kill(self, name: str) -> int:
        raise NotImplementedError(name)

    def has_ended(self, _: int) -> bool:
        return not self.is_up

    def end_at_once(self, _: int) -> None:
        self.is_up = False

    def write_requests(self, driver_id: str, content: bytes) -> Path:
        path = self.var / "requests" / f"{driver_id}.txt"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        return path

    def token_file(self, unit: str) -> Path:
        return self.var / "tokens" / unit

    def write_token(self, unit: str, token: str) -> Path:
        path = self.token_file(unit)
        path.parent.mkdir(exist_ok=True)
        write_secret(path, token.encode())
        return path

    def remove_token(self, unit: str) -> None:
        self.token_file(unit).unlink(missing_ok=True)

    def file_of(self, name: str) -> Path:
        return Path(f"/net/{name}.conf")

    def file_of_variables(self, _: str) -> Path:
        return self.conf

    def journal(self, name: str, count: int, *, follow: bool = False) -> Iterator[str]:
        return iter([f"{name} wrote a line"][:count])

    def central_urls(self) -> tuple[str, ...]:
        return () if self.elsewhere is None else tuple(self.elsewhere.split(","))

    def central_ca(self) -> Path | None:
        return None

    def has(self, unit: str) -> bool:
        return unit in self.units

    def add(self, unit: str, programs: Sequence[Program]) -> None:
        self.units[unit] = list(programs)

    def remove(self, unit: str) -> None:
        self.done.append(("remove", unit))
        del self.units[unit]

    def sync(self, only: Sequence[str] | None = None) -> Sync:
        if only is not None:
            self.done.append(("sync", *only))
            drifted = attrs.asdict(self.drifted)
            self.drifted = Sync(
                **{kind: tuple(x for x in drifted[kind] if x not in only) for kind in drifted}
            )
        names = [each.name for each in self.programs()]
        self.states = {name: self.states.get(name, self.first_state) for name in names}
        return Sync()

    def drift(self) -> Sync:
        return self.drifted


def port_of(central: Central) -> int:
    """The port that it answers at."""
    return int(central.url.rpartition(":")[2])


def central_at(central: Central) -> Program:
    """The program that is said to answer there."""
    return Program("evd-central", None, ("--http-port", str(port_of(central))))


def run_verb(answers: Sequence[Answer], *arguments: str) -> tuple[int, list[str]]:
    """The exit code of a command line where Central answers so, and what Central was asked."""
    options = evd.cli.parse(list(arguments))
    found = Answers(list(answers))
    with answering(found) as central:
        code = int(options.run(Supervised([central_at(central)]), options))
    return code, [f"{method} {path}" for method, path, _ in found.asked]
