"""Every HTTP port of the real programs: by whom each may be called, and what no call may do."""

import contextlib
import socket
from collections.abc import Iterator

import pytest

from tests.network.network import Network
from tests.network.processes import Program, free_port, listens
from tests.network.waiting import wait_until_none

NAMED = ("--http-hosts", "grid.example")


def with_ports(program: Program, *flags: str) -> list[int]:
    """Start a program with a free port for each of these flags."""
    ports = [free_port() for _ in flags]
    for flag, port in zip(flags, ports, strict=True):
        program.argv += [flag, str(port)]
    program.start()
    return ports


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    """A network in which no program may write a traceback."""
    with Network(tmp_path_factory.mktemp("http")) as network:
        yield network.up("CP-001", central_flags=NAMED)
        for program in network.programs.values():
            assert "Traceback" not in program.logged(), program.name


@pytest.fixture(scope="module")
def ports(network: Network) -> dict[str, int]:
    """The HTTP ports of one of each program, by what they are."""
    other = network.charging_point("CP-002")
    broker = network.program("another-broker", "evd-broker", "--listen-port", str(free_port()))
    found = {"Central": network.http_port}
    for program in (other.engine, other.monitor, broker):
        (found[program.name],) = with_ports(program, "--metrics-port")
    driver = network.driver("driver-alice", flags=NAMED)
    found["page"], found["driver"] = with_ports(driver, "--http-port", "--metrics-port")
    wait_until_none(lambda: [each for each in found.values() if not listens(each)], 20.0)
    return found


def exchange(port: int, request: bytes, source: str = "127.0.0.1") -> bytes:
    """All that is answered until the server closes; `source` is the client's address."""
    with socket.create_connection(("127.0.0.1", port), 10, (source, 0)) as client:
        client.sendall(request)
        return b"".join(iter(lambda: client.recv(65536), b""))


def status(port: int, host: str, start: str = "GET /health") -> int:
    """The status of the answer to a call by this name."""
    head = f"{start} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    return int(exchange(port, head.encode()).split()[1])


def test_no_page_of_another_name_gets_an_answer(ports: dict[str, int]) -> None:
    """Proves: on each HTTP port of each program, a call by a name that is not this machine's is a
    421, and one by an address, localhost, its own name or one of --http-hosts is not."""
    for what, port in ports.items():
        for host in ("localhost", f"127.0.0.1:{port}", f"[::1]:{port}", socket.gethostname()):
            assert status(port, host) in (200, 503), (what, host)
        for host in ("evil.example", f"evil.example:{port}", "user@localhost"):
            assert status(port, host) == 421, (what, host)
            assert status(port, host, "POST /cp/CP-001/stop") == 421, (what, host)
        named = what in ("Central", "page", "driver")
        assert (status(port, f"GRID.example.:{port}") != 421) == named, what


@pytest.mark.parametrize("more", [b"GET /cp HTTP/1.1\r\nHost: x\r\n\r\n", b"\x00\r\n" * 30_000])
@pytest.mark.parametrize("start", ["GET /health", "GET /", "POST /cp/CP-404/stop"])
def test_what_follows_a_last_request_costs_nothing(
    ports: dict[str, int], start: str, more: bytes
) -> None:
    """Proves: on each port the answer to a request with `Connection: close` is what it is without
    the bytes behind it, and whole: as long as it says."""
    request = f"{start} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
    for what, port in ports.items():
        head, _, body = exchange(port, request + more).partition(b"\r\n\r\n")
        assert int(head.split()[1]) == int(exchange(port, request).split()[1]), what
        assert b"\r\ncontent-length: %d\r\n" % len(body) in head.lower(), what


@pytest.mark.parametrize("query", ["colour=red", "colour", "limit=1&colour="])
def test_no_parameter_is_passed_over(ports: dict[str, int], query: str) -> None:
    """Proves: on each port a query parameter that a call does not have is a 400."""
    paths = {"Central": ("/cp", "/sessions", "/faults"), "page": ("/charging-points", "/")}
    for what, port in ports.items():
        for path in ("/health", *paths.get(what, ()), *(() if what == "page" else ("/metrics",))):
            assert status(port, "localhost", f"GET {path}?{query}") == 400, (what, path)


def test_one_address_leaves_half_of_the_places_to_others(
    network: Network, ports: dict[str, int]
) -> None:
    """Proves: 300 idle connections of one address, loopback too, cost those of other addresses
    nothing, on no port, and the log tells once."""
    request = b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    for what, port in ports.items():
        with contextlib.ExitStack() as held:
            for _ in range(300):
                held.enter_context(socket.create_connection(("127.0.0.1", port), 10))
            assert b'"service"' in exchange(port, request, "127.0.0.2"), what
    told = network.central().logged()
    assert told.count(" are turned away: 127.0.0.1 has all of its 128 places") == 1
