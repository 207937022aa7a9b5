"""Hosts with `evd_security: closed`: who has no TLS and no token gets in nowhere."""

import socket
from typing import Final

import httpx
import pytest

from tests.hosts import netns
from tests.hosts.site import CENTRAL, LOOK_S, PATIENCE_S, Site, client_of, tls_client_of
from tests.network.waiting import wait_until_none

pytestmark = pytest.mark.hosts

# The firewall lets it reach all ports of the others, so theirs alone keep it out.
NEIGHBOUR: Final = "kafka2"
FRAMED_PORT, HTTP_PORT, FEED_PORT = 9999, 8000, 8765
METRICS: Final = tuple(
    (name, port) for name in ("cp1", "cp2") for port in (9201, 9202, 9301, 9302, 9401)
)
PAGES: Final = (("cp1", 8080), ("cp2", 8080))
CENTRALS: Final = tuple((CENTRAL, port) for port in (FRAMED_PORT, HTTP_PORT, FEED_PORT))
HEALTH: Final = tuple((name, port) for name in ("cp1", "cp2") for port in (8001, 8002))
# The pages that want a token.
GUARDED: Final = (
    *((CENTRAL, HTTP_PORT, path) for path in ("/cp", "/metrics", "/audit", "/no-such-path")),
    *((*each, "/metrics") for each in METRICS),
    ("cp1", 8080, "/drivers/driver-alice/requests"),
    ("cp2", 8080, "/drivers/driver-bob/requests"),
)
PROMETHEUS: Final = ("kafka3", 9090)
ANSWER_S_MAX: Final = 10.0
# The first byte of TLS's word that something is wrong.
TLS_ALERT: Final = b"\x15"


def test_nobody_gets_in_without_tls_and_a_token(site: Site) -> None:
    """Proves: on a closed site no port answers a plain connection of another host, an engine's
    health port takes none from there at all, and a stranger who speaks TLS is told 401 by
    Central, by every page of metrics and by a driver's page; who has a token gets in."""
    for name, port in (*CENTRALS, *METRICS, *PAGES):
        said = _told_in_plain(site, name, port)
        assert said == b"" or said.startswith(TLS_ALERT), (name, port, said)
    for name, port in HEALTH:
        with pytest.raises(ConnectionRefusedError):
            _told_in_plain(site, name, port)
    for name, port, path in GUARDED:
        for shown in ("", "evd_admin_" + "x" * 43):
            with tls_client_of(site.lab.hosts[name], port, shown) as client:
                assert client.get(path).status_code == 401, (name, port, path)
                assert client.get("/health").json().keys() == {"status"}
    token = (site.lab.hosts["cp1"].root / "etc/evd/tokens/metrics").read_text().strip()
    for name, port in METRICS:
        with tls_client_of(site.lab.hosts[name], port, token) as client:
            assert client.get("/metrics").status_code == 200
    wait_until_none(lambda: _unseen(site), PATIENCE_S, "Prometheus sees all", LOOK_S)
    site.begin_sessions()
    site.hold_promises()


def _told_in_plain(site: Site, name: str, port: int) -> bytes:
    """The answer of a port to a neighbour who asks it in plain HTTP."""
    host = site.lab.hosts[name]
    with (
        netns.inside(site.lab.hosts[NEIGHBOUR].namespace),
        socket.create_connection((host.address, port), ANSWER_S_MAX) as asking,
    ):
        asking.sendall(f"GET /health HTTP/1.1\r\nHost: {host.address}\r\n\r\n".encode())
        try:
            return asking.recv(1024)
        except ConnectionResetError:
            return b""


def _unseen(site: Site) -> dict[str, str]:
    """Each page of metrics that Prometheus can't read, with the reason."""
    name, port = PROMETHEUS
    with client_of(site.lab.hosts[name], port) as client:
        try:
            found = client.get("/api/v1/targets").json()["data"]["activeTargets"]
        except httpx.TransportError as error:
            return {name: str(error)}
    if not found:
        return {name: "it has no targets yet"}
    return {each["scrapeUrl"]: each["lastError"] for each in found if each["health"] != "up"}
