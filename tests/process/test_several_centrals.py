"""A monitor and a driver's page that know a Central that stands by and one that serves."""

from pathlib import Path

import httpx

from evd.adapters.http.refused import STANDING_BY
from evd.core.wire.control import Register
from tests.network.network import Network
from tests.network.processes import free_port
from tests.network.standby import REASON, standing_by
from tests.network.waiting import wait_until
from tests.unit.cli.scene import Answer, Answers, answering

REFUSED: Answer = (503, {"error": REASON, "code": STANDING_BY}, {"Retry-After": "1"})
# A round of the addresses takes 2 s; what is started may take long on a busy machine.
BACK_S = 30.0


def test_they_find_the_central_that_serves_again_and_again(tmp_path: Path) -> None:
    """Proves: a charging point and a driver's page whose first Central stands by work with the
    second; when that one is killed and comes back they find it anew; a restarted monitor begins
    there; the standby is told a REGISTER alone, and nothing but it is restarted."""
    http = Answers([REFUSED])
    with standing_by() as standby, answering(http) as away, Network(tmp_path) as network:
        hosts = f"127.0.0.1:{standby.port},127.0.0.1"
        network.up("CP-001", monitor_flags=("--central-host", hosts))
        page_port = free_port()
        urls = f"{away.url},{network.url}"
        flags = ("--http-port", str(page_port), "--central-url", urls)
        driver = network.driver("driver-alice", flags=flags)
        driver.start()

        def free() -> bool:
            try:
                page = httpx.get(f"http://127.0.0.1:{page_port}/charging-points", timeout=10)
            except httpx.TransportError:
                return False
            return page.is_success and [each["status"] for each in page.json()] == ["FREE"]

        wait_until(free, BACK_S)
        told = len(standby.heard)
        assert told >= 1
        central = network.central()
        with network.only(central):
            central.kill()
            wait_until(lambda: len(standby.heard) >= told + 2, BACK_S)
            central.start()
            network.wait_available("CP-001", within_s=BACK_S)
            wait_until(free, BACK_S)
        assert {type(each) for each in standby.heard} == {Register}
        assert http.asked
        monitor = network.points["CP-001"].monitor
        monitor.kill()
        told = len(standby.heard)
        lines = len(monitor.logged())
        monitor.start()
        monitor.wait_for_line("Registered with Central", BACK_S, since=lines)
        assert len(standby.heard) == told
