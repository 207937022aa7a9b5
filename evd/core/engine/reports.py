"""The reports of an engine: its whole state in each, numbered within its boot."""

from operator import attrgetter
from typing import Any, Final

import attrs

from evd.core.effects import Now, Send
from evd.core.engine.central_contact import CentralContact
from evd.core.engine.charging import Charging
from evd.core.engine.events import Effect, EngineSettings, Run
from evd.core.engine.ledger import Ledger
from evd.core.engine.states import States
from evd.core.wire import units
from evd.core.wire.control import Ping, Pong
from evd.core.wire.fields import clip
from evd.core.wire.messages import STATUS, CpStatus

STATUS_INTERVAL_S = 2.0

# All that rises by itself: a higher reading is no news.
_RISING: Final = {"seq", "up_s", "kwh", "euros"}
_compared: Final = attrgetter(
    *(each.name for each in attrs.fields(CpStatus) if each.name not in _RISING)
)


@attrs.define
class Reports:
    """The reports of the boot `boot_id`; one is due at `due_at_s`, news or not.

    Times in monotonic seconds.
    """

    _settings: EngineSettings
    boot_id: str
    _states: States
    _charging: Charging
    _ledger: Ledger
    _contact: CentralContact
    _started_s: float
    due_at_s: float = attrs.field(init=False)
    _newest: CpStatus | None = attrs.field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self.due_at_s = self._started_s

    @property
    def newest_seq(self) -> int | None:
        """The number of the newest report, None before the first."""
        return None if self._newest is None else self._newest.seq

    def up_s(self, now: Now) -> float:
        """The uptime of this boot."""
        return round(max(0.0, now.mono_s - self._started_s), 6)

    @property
    def unconfirmed_count(self) -> int:
        """How many ended sessions Central has not confirmed, one that is not saved included."""
        return self._ledger.unconfirmed_count + (self._charging.ended is not None)

    def settle(self, now: Now) -> list[Effect]:
        """Let the state follow the facts, and report what has changed."""
        run = self._charging.run
        self._states.unconfirmed = self._ledger.unconfirmed_count
        self._states.running_session_id = None if run is None else run.session_id
        notes = self._states.follow(now.mono_s)
        newest = self._newest
        is_news = newest is None or _compared(self._next(now)) != _compared(newest)
        return [*notes, self.say(now)] if is_news else [*notes]

    def say(self, now: Now) -> Send:
        """Report everything as it is now."""
        self._newest = self._next(now)
        self.due_at_s = now.mono_s + STATUS_INTERVAL_S
        return Send(STATUS, self._settings.cp_id, self._newest)

    def _next(self, now: Now) -> CpStatus:
        run = self._charging.run
        return CpStatus(
            cp_id=self._settings.cp_id,
            boot_id=self.boot_id,
            seq=(self.newest_seq or 0) + 1,
            up_s=self.up_s(now),
            state=self._states.state,
            unconfirmed=self.unconfirmed_count,
            reason=clip(self._states.reason),
            central_id=self._contact.central_id,
            leaving=self._states.leaving or None,
            **({} if run is None else _of_session(run)),
        )

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
