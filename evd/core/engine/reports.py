"""What an engine tells of itself: its whole state in each report, numbered within its boot."""

from typing import Any

import attrs

from evd.core.effects import Now
from evd.core.engine.events import EngineSettings, Run
from evd.core.engine.session import clipped
from evd.core.engine.states import States
from evd.core.wire import units
from evd.core.wire.control import Ping, Pong
from evd.core.wire.messages import CpStatus

STATUS_INTERVAL_S = 2.0


class Reports:
    """The reports of the boot `boot_id`, and the newest of them."""

    def __init__(self, settings: EngineSettings, boot_id: str, now: Now) -> None:
        self._settings = settings
        self._boot_id = boot_id
        self._started_s = now.mono_s
        self._newest: CpStatus | None = None
        # When the next one is due, whatever happens.
        self.due_at_s = now.mono_s

    def up_s(self, now: Now) -> float:
        """The uptime of this boot."""
        return round(max(0.0, now.mono_s - self._started_s), 6)

    def next(
        self, machine: States, run: Run | None, central_id: str | None, unconfirmed: int, now: Now
    ) -> CpStatus:
        """The report that could be made now; `take` makes it the newest."""
        return CpStatus(
            cp_id=self._settings.cp_id,
            boot_id=self._boot_id,
            seq=1 if self._newest is None else self._newest.seq + 1,
            up_s=self.up_s(now),
            state=machine.state,
            unconfirmed=unconfirmed,
            reason=clipped(machine.reason),
            central_id=central_id,
            **({} if run is None else _of_session(run)),
        )

    def take(self, report: CpStatus, now: Now) -> None:
        """This one is said now."""
        self._newest = report
        self.due_at_s = now.mono_s + STATUS_INTERVAL_S

    def is_news(self, report: CpStatus) -> bool:
        """Whether it says something that the newest does not; a higher reading is no news."""
        return self._newest is None or _compared(report) != _compared(self._newest)

    def pong(self, ping: Ping, now: Now) -> Pong:
        """The answer to a PING: what the newest report says, and the uptime.

        Raises RuntimeError before the first report.
        """
        newest = self._newest
        if newest is None:
            raise RuntimeError("nothing was reported yet")
        return Pong(
            seq=ping.seq,
            cp_id=newest.cp_id,
            state=newest.state,
            session_id=newest.session_id,
            kw_rate=self._settings.kw_rate,
            euro_rate=self._settings.euro_rate,
            location=self._settings.location,
            boot_id=newest.boot_id,
            up_s=self.up_s(now),
            report=newest.seq,
        )


def _of_session(run: Run) -> dict[str, Any]:
    return {
        "session_id": run.session_id,
        "request_id": run.request_id,
        "driver_id": run.driver_id,
        "kwh": units.kwh_from_mwh(run.energy_mwh),
        "euros": units.running_euros(run.energy_mwh, run.euro_rate),
    }


def _compared(report: CpStatus) -> CpStatus:
    return attrs.evolve(report, seq=0, up_s=0.0, kwh=None, euros=None)
