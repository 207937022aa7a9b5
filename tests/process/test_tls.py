"""Real programs by TLS: a network that charges, certificates that are renewed under it, and what is
not started or not believed."""

import re
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import httpx
import pytest

from tests.network.certificates import HOST, NAMES, Certificates, secret
from tests.network.network import Network
from tests.network.processes import BIN, Program, free_port
from tests.network.waiting import wait_until

BOUND_S: Final = 20.0
NO_KAFKA: Final = "--kafka-bootstrap=127.0.0.1:1"
TOKEN, OTHER = (f"evd_monitor_{each * 43}" for each in "ab")
# Every address of this machine; who dials it dials this machine, and it is no address of loopback.
EVERYWHERE: Final = "0.0.0.0"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """The certificates of the network."""
    made = Certificates(tmp_path_factory.mktemp("certificates"))
    made.issue(*NAMES, EVERYWHERE)
    return made


@pytest.fixture(scope="module")
def secure(
    tmp_path_factory: pytest.TempPathFactory, certificates: Certificates
) -> Iterator[Network]:
    """A network whose Central is dialed by TLS alone; its monitor shows its metrics."""
    folder = tmp_path_factory.mktemp("network")
    with Network(folder, certificates=certificates) as network:
        metrics = ("--metrics-port", str(free_port()))
        network.up("CP-001", engine_flags=("--session-seconds", "3"), monitor_flags=metrics)
        yield network


def shown_certificate(port: int, certificates: Certificates) -> bytes:
    """The certificate that a port shows now."""
    with (
        socket.create_connection((HOST, port), BOUND_S) as plain,
        certificates.trusting().wrap_socket(plain, server_hostname=HOST) as shaken,
    ):
        return shaken.getpeercert(binary_form=True) or b""


def reconnects(network: Network) -> float:
    """How often the monitor has dialed Central again."""
    port = network.points["CP-001"].monitor.flag("--metrics-port")
    text = httpx.get(f"http://{HOST}:{port}/metrics").text
    found = re.search(r"^evd_monitor_reconnects_total (\S+)$", text, re.MULTILINE)
    assert found is not None
    return float(found[1])


def test_a_network_charges_by_tls(secure: Network, certificates: Certificates) -> None:
    """Proves: monitors, HTTP and the feed speak TLS with Central, a request becomes a session and a
    bill, and nobody is served who speaks no TLS or trusts another authority."""
    request_id = secure.request_charge("driver-web", "CP-001")
    secure.wait_request(request_id, "COMPLETED")
    (session,) = secure.sessions(driver_id="driver-web")
    assert session["total_cost"] is not None
    for port in (secure.control_port, secure.http_port, secure.feed_port):
        assert shown_certificate(port, certificates)
        with (
            socket.create_connection((HOST, port), BOUND_S) as plain,
            pytest.raises(ssl.SSLCertVerificationError),
        ):
            ssl.create_default_context().wrap_socket(plain, server_hostname=HOST)
        with socket.create_connection((HOST, port), BOUND_S) as plain:
            plain.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            with suppress(ConnectionError):
                assert plain.recv(4096) == b""
    with (
        socket.create_connection((HOST, secure.feed_port), BOUND_S) as plain,
        certificates.trusting().wrap_socket(plain, server_hostname=HOST) as feed,
    ):
        feed.sendall(
            b"GET /feed HTTP/1.1\r\nHost: localhost\r\n"
            b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        )
        said = b""
        while b"snapshot" not in said:
            part = feed.recv(4096)
            assert part
            said += part
        assert said.startswith(b"HTTP/1.1 101")


def test_a_certificate_is_renewed_under_a_session(
    secure: Network, certificates: Certificates
) -> None:
    """Proves: a SIGHUP takes up a new certificate on every port while a session runs and no monitor
    loses its connection; a wrong one changes nothing, and is one ERROR line and a metric."""
    central = secure.programs["central"]
    before = shown_certificate(secure.http_port, certificates)
    dialed = reconnects(secure)
    request_id = secure.request_charge("driver-renewed", "CP-001")
    secure.wait_request(request_id, "IN_PROGRESS")
    certificates.issue(*NAMES, EVERYWHERE)
    since = len(central.logged())
    central.process.send_signal(signal.SIGHUP)
    central.wait_for_line("were read again", since=since)
    renewed = {
        shown_certificate(port, certificates)
        for port in (secure.control_port, secure.http_port, secure.feed_port)
    }
    assert len(renewed) == 1
    assert before not in renewed

    good = certificates.cert.read_bytes()
    certificates.cert.write_text("nonsense")
    since = len(central.logged())
    central.process.send_signal(signal.SIGHUP)
    line = central.wait_for_line("| ERROR |", since=since)
    assert "--tls-cert: " in line
    assert "the one before goes on" in line
    assert shown_certificate(secure.control_port, certificates) in renewed
    assert secure.metric('evd_tls_reload_failed{flag="tls-cert"}') == 1
    certificates.cert.write_bytes(good)
    central.process.send_signal(signal.SIGHUP)
    wait_until(lambda: secure.metric('evd_tls_reload_failed{flag="tls-cert"}') == 0, BOUND_S)
    ends_s = secure.metric("evd_tls_not_after_seconds")
    assert ends_s > time.time()
    secure.wait_request(request_id, "COMPLETED")
    assert reconnects(secure) == dialed


def test_a_health_port_beyond_loopback(tmp_path: Path, certificates: Certificates) -> None:
    """Proves: an engine beyond loopback answers its monitor alone: by TLS, with the token of its
    file.  With another it is no answer but a closed connection, counted; the file that was put
    right is taken with the next PING."""
    port, metrics = free_port(), free_port()
    theirs = secret(tmp_path / "monitor.token", TOKEN)
    ours = secret(tmp_path / "engine.token", OTHER)
    bearer = secret(tmp_path / "bearer", "sesame")
    engine_flags = (
        *(NO_KAFKA, "--cp-id=CP-001", f"--health-host={EVERYWHERE}", f"--health-port={port}"),
        *(f"--metrics-host={EVERYWHERE}", f"--metrics-port={metrics}"),
        *("--token-file", str(ours), "--metrics-token-file", str(bearer)),
        *certificates.server_flags,
    )
    monitor_flags = (
        *("--cp-id=CP-001", f"--cp-e-host={EVERYWHERE}", f"--cp-e-port={port}"),
        *(f"--central-port={free_port()}", "--health-interval=0.2", "--token-file", str(theirs)),
        *certificates.client_flags,
    )
    engine = Program("engine", ("evd-engine", *engine_flags), tmp_path)
    monitor = Program("monitor", ("evd-monitor", *monitor_flags), tmp_path)
    try:
        engine.start_until_ready()
        monitor.start()
        monitor.wait_for_line("Health check failed (3/3)", BOUND_S)
        engine.wait_for_line("its PING has a wrong token", BOUND_S)
        url = f"https://{HOST}:{metrics}"
        with httpx.Client(base_url=url, verify=certificates.trusting()) as client:
            assert client.get("/metrics").status_code == 401
            shown = client.get("/metrics", headers={"Authorization": "Bearer sesame"}).text
        count = re.search(r"^evd_engine_wrong_tokens_total (\S+)$", shown, re.MULTILINE)
        assert count is not None
        assert float(count[1]) >= 1
        ours.write_text(TOKEN)
        monitor.wait_for_line("Health restored", BOUND_S)
        for said in (TOKEN, OTHER, "sesame"):
            assert said not in engine.logged() + monitor.logged()
    finally:
        monitor.end()
        engine.end()


HTTP: Final = (f"--http-host={EVERYWHERE}", "--http-port")
OPEN: Final = {
    "evd-broker": (f"--listen-host={EVERYWHERE}", "--listen-port"),
    "evd-central": (NO_KAFKA, *HTTP, "--listen-port", "--feed-port"),
    "evd-engine": (NO_KAFKA, "--cp-id=CP-001", f"--health-host={EVERYWHERE}", "--health-port"),
    "evd-monitor": ("--cp-id=CP-001", f"--metrics-host={EVERYWHERE}", "--metrics-port"),
    "evd-driver": (NO_KAFKA, "--driver-id=driver-alice", *HTTP),
}


def refusal(name: str, folder: Path, *flags: str) -> str:
    """The one line of a program that is not to begin."""
    done = subprocess.run(
        [str(BIN / name), *flags],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=BOUND_S,
        check=False,
    )
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    return line


@pytest.mark.parametrize("name", OPEN)
def test_no_port_is_open_by_mistake(tmp_path: Path, name: str) -> None:
    """Proves: each program that would listen beyond loopback without its protection ends with code
    2 and one line that says what to do; with --insecure it begins, and warns once."""
    flags = [each if "=" in each else f"{each}={free_port()}" for each in OPEN[name]]
    line = refusal(name, tmp_path, *flags)
    assert "-host: 0.0.0.0 is beyond loopback" in line
    assert "--insecure" in line
    program = Program(name, (name, *flags, "--insecure"), tmp_path)
    program.start_until_ready()
    try:
        assert program.stop() == 0
    finally:
        program.end()
    assert program.logged().count("--insecure: ") == 1
    assert " | WARNING | " in program.wait_for_line("--insecure: ")


def test_no_token_is_sent_in_clear(tmp_path: Path) -> None:
    """Proves: a monitor that would send its token to another host without TLS is not started."""
    token = secret(tmp_path / "token", TOKEN)
    flags = ("--cp-id=CP-001", "--central-host=192.0.2.1", "--token-file", str(token))
    line = refusal("evd-monitor", tmp_path, *flags, "--insecure")
    assert "--tls-ca: is required with --token-file" in line
