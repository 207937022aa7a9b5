"""A small network that is brought to one of the moments at which a fault hurts most.

One charging point, `CP-001`, and one driver, `driver-alice`, who asks for it twice.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from tests.network import checker
from tests.network.central_http import Fields
from tests.network.network import ChargingPoint, Network
from tests.network.processes import Program
from tests.network.waiting import wait_until

CP_ID = "CP-001"
DRIVER_ID = "driver-alice"
SESSION_S = 3
SHORT = ("--session-seconds", str(SESSION_S))
# Between the driver's first and second request: a part that is struck in between can be back.
IDLE_S = 8
FINAL_S_MAX = 25.0
AVAILABLE_S_MAX = 10.0
RESTARTED_BEFORE = "session never began: its engine restarted before it began"
# Ages at which a part is in the middle of its start: imports, ports, disk, first connections.
STARTING_S = (0.15, 0.4, 0.8)

MOMENTS = ("idle", "at a START", "in mid-session", "before the confirmation", "while it starts")


class Scene:
    """A network with its five parts by name."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.point: ChargingPoint = network.points[CP_ID]
        self.driver = network.programs[DRIVER_ID]
        self.parts: dict[str, Program] = {
            "engine": self.point.engine,
            "monitor": self.point.monitor,
            "driver": self.driver,
            "central": network.central(),
            "broker": network.broker,
        }

    def reach(self, moment: str) -> None:
        """Let the driver ask, and return at `moment`."""
        self.driver.start()
        if moment == "at a START":
            self.driver.wait_for_line("| ACCEPTED |", 15.0)
            return
        if moment == "idle":
            self.wait_finals(1)
            return
        self.driver.wait_for_line(" kWh", 15.0)
        if moment == "before the confirmation":
            # It can't confirm what it can't read; its connections stay open.
            self.parts["central"].freeze()
            wait_until(lambda: checker.read_disk(self.point.engine_state_dir).kept, 10.0)

    def strike(self, names: Sequence[str], moment: str) -> None:
        """Kill these parts together and start them again, as their supervisor does."""
        struck = [self.parts[name] for name in names]
        for part in struck:
            part.kill()
        if self.parts["central"].alive:
            self.parts["central"].thaw()
        for part in struck:
            part.start()
        for starting_s in STARTING_S if moment == "while it starts" else ():
            first_s = min(part.started_s for part in struck)
            time.sleep(max(0.0, first_s + starting_s - time.monotonic()))
            for part in struck:
                part.restart()

    def only(self, *names: str) -> AbstractContextManager[None]:
        return self.network.only(*(self.parts[name] for name in names))

    def finals(self) -> list[checker.Told]:
        """The final lines that the driver has printed, one a request, in their order."""
        return [told[0] for told in checker.read_told(self.driver.printed()).values()]

    def wait_finals(self, count: int, within_s: float = FINAL_S_MAX) -> list[checker.Told]:
        wait_until(lambda: len(self.finals()) >= count, within_s, f"{count} final lines")
        return self.finals()

    def wait_final(self, status: str, within_s: float = FINAL_S_MAX) -> checker.Told:
        (final,) = self.wait_finals(1, within_s)
        assert final.status == status, final
        return final

    def finish(self, **lost: Any) -> checker.Facts:
        """Charge once more, and hold the network to its promises.  `lost`: see checker.check."""
        self.charge_again()
        return checker.check(self.network, **lost)

    def charge_again(self) -> None:
        row = self._charge()
        if row["reason"] == RESTARTED_BEFORE:
            # Central could not know yet of its engine's end when it was asked.
            row = self._charge()
        assert row["status"] == "COMPLETED", row

    def _charge(self) -> Fields:
        self.network.wait_available(CP_ID, within_s=AVAILABLE_S_MAX)
        request_id = self.network.request_charge("driver-bob", CP_ID)
        return self.network.wait_request(request_id, "COMPLETED", "FAILED", "DENIED")


@contextmanager
def scene(
    folder: Path,
    *requests: str,
    engine_flags: Sequence[str] = SHORT,
    central_flags: Sequence[str] = (),
    driver_flags: Sequence[str] = (),
    at: str = "",
    **kwargs: Any,
) -> Iterator[Scene]:
    """A network that is up, `at` one of MOMENTS; without one the driver is not started.
    `kwargs`: see Network."""
    with Network(folder, **kwargs) as network:
        network.up(CP_ID, engine_flags=engine_flags, central_flags=central_flags)
        network.driver(DRIVER_ID, *(requests or (CP_ID,)), flags=driver_flags)
        made = Scene(network)
        if at:
            made.reach(at)
        yield made
