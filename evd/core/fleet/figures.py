"""The waits of a played fleet's drivers: how long a Central took to answer them."""

from typing import Final

from evd.core.fleet.events import Progress
from evd.core.fleet.waits import Spread, Waits
from evd.core.wire.messages import DriverUpdate, RequestStatus

# Readings whose way to the driver is not over; older ones are forgotten.
READINGS_MAX: Final = 100_000
REASONS_MAX: Final = 20


class Figures:
    """The waits since the last `begin`; times are monotonic seconds."""

    def __init__(self) -> None:
        self._asked_s: dict[str, float] = {}
        self._read_s: dict[tuple[str, float], float] = {}
        self._accepted, self._shown = Waits(), Waits()
        self._finals: dict[RequestStatus, int] = {}
        # The sentences of requests that were not COMPLETED, and how often each.
        self._reasons: dict[str, int] = {}

    def begin(self) -> None:
        """Forget all waits that are over: the fleet stands, and is measured from now on."""
        self._accepted, self._shown = Waits(), Waits()
        self._finals, self._reasons = {}, {}

    @property
    def unanswered(self) -> int:
        """How many requests have had no answer."""
        return len(self._asked_s)

    @property
    def accepted(self) -> Spread | None:
        """The waits from a request to its ACCEPTED."""
        return self._accepted.spread

    @property
    def shown(self) -> Spread | None:
        """The waits from a reading of the meter to its IN_PROGRESS at the driver."""
        return self._shown.spread

    @property
    def finals(self) -> dict[RequestStatus, int]:
        """How many requests ended in which way."""
        return dict(self._finals)

    @property
    def reasons(self) -> dict[str, int]:
        """Why requests were not COMPLETED, the first few reasons, and how often each."""
        return dict(self._reasons)

    def on_asked(self, request_id: str, now_s: float) -> None:
        """Note that a driver asked; again is not later."""
        self._asked_s.setdefault(request_id, now_s)

    def on_metered(self, session_id: str, kwh: float, now_s: float) -> None:
        """Note that an engine sent a reading."""
        if len(self._read_s) >= READINGS_MAX:
            del self._read_s[next(iter(self._read_s))]
        self._read_s[session_id, kwh] = now_s

    def on_update(self, update: DriverUpdate, now_s: float) -> None:
        """Take in what a driver was told."""
        asked_s = self._asked_s.pop(update.request_id, None)
        if update.status is RequestStatus.ACCEPTED:
            _keep(self._accepted, asked_s, now_s)
        elif update.status is not RequestStatus.IN_PROGRESS:
            self._finals[update.status] = self._finals.get(update.status, 0) + 1
            self._note_reason(update)
        elif update.session_id is not None and update.kwh is not None:
            self._on_shown(update.session_id, update.kwh, now_s)

    def on_progress(self, progress: Progress, now_s: float) -> None:
        """Take in that a driver was told of a reading."""
        self._asked_s.pop(progress.request_id, None)
        self._on_shown(progress.session_id, progress.kwh, now_s)

    def _on_shown(self, session_id: str, kwh: float, now_s: float) -> None:
        _keep(self._shown, self._read_s.pop((session_id, kwh), None), now_s)

    def _note_reason(self, update: DriverUpdate) -> None:
        is_known = update.reason in self._reasons or len(self._reasons) < REASONS_MAX
        if update.status is not RequestStatus.COMPLETED and is_known:
            self._reasons[update.reason] = self._reasons.get(update.reason, 0) + 1


def _keep(waits: Waits, since_s: float | None, now_s: float) -> None:
    if since_s is not None:
        waits.add(now_s - since_s)
