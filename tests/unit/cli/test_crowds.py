"""HTTP ports that one address fills, as the doctor sees them in the kernel's tables."""

import contextlib
import socket

import pytest

from evd.adapters.http.connection import METRICS_BOUNDS, Bounds
from evd.adapters.supervisor.protocol import Program
from evd.cli.doctor import crowds

FLAGS = {
    "evd-central": ("--http-port", Bounds()),
    "evd-broker": ("--metrics-port", METRICS_BOUNDS),
}


@pytest.mark.parametrize("name", FLAGS)
@pytest.mark.parametrize(("family", "address"), [("AF_INET", "127.0.0.1"), ("AF_INET6", "::1")])
def test_the_doctor_names_who_fills_a_port(name: str, family: str, address: str) -> None:
    """Proves: an address, loopback too, that has all the HTTP connections that it may have is a
    finding with the port and what to look at; one connection less is none."""
    flag, bounds = FLAGS[name]
    kind = socket.AddressFamily[family]
    with contextlib.ExitStack() as held:
        server = held.enter_context(socket.create_server((address, 0), family=kind, backlog=512))
        port = server.getsockname()[1]
        program = Program(name, None, (flag, str(port)))
        for _ in range(bounds.of_address_max - 1):
            held.enter_context(socket.create_connection((address, port), 5))
        assert list(crowds([program])) == []
        held.enter_context(socket.create_connection((address, port), 5))
        (finding,) = crowds([program])
    assert finding.what == (
        f"{address} has all of the {bounds.of_address_max} HTTP connections to {name}"
        f" ({flag} {port}) that one address may have: more are turned away."
    )
    assert f"ss -tnp dport = :{port}" in finding.remedy


def test_the_doctor_tells_of_a_port_that_many_fill() -> None:
    """Proves: where all places together are taken, the doctor says so, and by whom most."""
    with contextlib.ExitStack() as held:
        server = held.enter_context(socket.create_server(("127.0.0.1", 0), backlog=512))
        port = server.getsockname()[1]
        for number in range(METRICS_BOUNDS.connections_max):
            client = held.enter_context(socket.socket())
            client.bind((f"127.0.0.{2 + number % 3}", 0))
            client.connect(("127.0.0.1", port))
        found = list(crowds([Program("evd-broker", None, ("--metrics-port", str(port)))]))
    assert [each.what.partition(" HTTP")[0] for each in found] == ["All of the 32"]
