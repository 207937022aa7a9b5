"""One of two Centrals on one PostgreSQL database fails, or hands over: how long until the other one
serves and every charging point is ON again, counted from the fault.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.adapters.store.databases import open_postgres
from tests.network.processes import Program
from tests.network.several import SeveralCentrals
from tests.recovery.failures import Figures
from tests.recovery.scene import CP_IDS, PATIENCE_S, SESSION_S, Waits

# Those with a session that the other Central sees the end of.
CHARGING = CP_IDS[:5]


class TwoCentrals(Waits):
    """A network with two Centrals, `active` the number of the one that serves."""

    def __init__(self, network: SeveralCentrals) -> None:
        """Start all of it, and wait until every charging point can take a driver."""
        super().__init__(network)
        self.several = network
        self.active = 0
        network.broker.start_until_ready()
        network.start_centrals()
        for cp_id in CP_IDS:
            flags = ("--session-seconds", str(SESSION_S))
            network.charging_point(cp_id, engine_flags=flags).start()
        network.wait_available(*CP_IDS, within_s=2 * PATIENCE_S)

    def take_over(
        self, fail: Callable[[Program], None], mend: Callable[[Program], None] | None = None
    ) -> float:
        """Let the one that serves fail in mid-session, and come back to stand by once the other one
        serves; the seconds until all charging points were ON again.

        `mend` is what it needs before it ends by itself; None where it has ended.
        """
        network, active, other = self.several, self.active, 1 - self.active
        self.seconds_until(self.all_in_service, 0.0, "all are in service")
        self.seconds_until(lambda: network.stands_by(other), 0.0, "the other one stands by")
        requests = self.charge(CHARGING)
        central = network.centrals[active]
        with network.only(central):
            self.any_moment()
            failed_s = time.monotonic()
            fail(central)
            took_s = self.seconds_until(
                lambda: network.shows_all_on(other), failed_s, "all points are ON again"
            )
            network.serving.name, self.active = str(other), other
            if mend is not None:
                mend(central)
                central.wait(PATIENCE_S)
            central.start()
            for request_id in requests.values():
                network.wait_request(request_id, "COMPLETED", within_s=PATIENCE_S)
        return took_s


def central_killed(scene: TwoCentrals, trial: int) -> Figures:
    """Kill it, and start it again once the other one serves."""
    return {"Central killed, taken over": scene.take_over(Program.kill)}


def central_hangs(scene: TwoCentrals, trial: int) -> Figures:
    """Stop it as a debugger does, and wake it when the other one serves."""
    return {"Central hangs, taken over": scene.take_over(Program.freeze, Program.thaw)}


def central_cut_off(scene: TwoCentrals, trial: int) -> Figures:
    """Let nothing through between it and the database, and close no connection."""
    way = scene.several.db_relays[scene.active]
    took_s = scene.take_over(lambda _: way.freeze(), lambda _: way.thaw())
    return {"Central cut off, taken over": took_s}


def central_switched(scene: TwoCentrals, trial: int) -> Figures:
    """Switch it by hand."""

    def switch(_: Program) -> None:
        scene.network.http.post("/central/handover").raise_for_status()

    return {"Central switched by hand": scene.take_over(switch, lambda _: None)}


Takeover = Callable[[TwoCentrals, int], Figures]

TAKEOVERS: tuple[Takeover, ...] = (
    central_killed,
    central_hangs,
    central_cut_off,
    central_switched,
)


@contextmanager
def two_centrals_in(folder: Path) -> Iterator[TwoCentrals]:
    """A scene with two Centrals that is up."""
    with open_postgres() as server, SeveralCentrals(folder, server) as network:
        yield TwoCentrals(network)
