"""The waits of a played fleet's drivers: how long a Central took to answer them."""

from collections.abc import Sequence
from typing import Final

import attrs

from evd.core.wire.messages import DriverUpdate, RequestStatus, Telemetry

# Readings whose way to the driver is not over; older ones are forgotten.
READINGS_MAX: Final = 100_000
# Waits that are kept of each kind, of a run of some hours too.
WAITS_MAX: Final = 1_000_000


@attrs.frozen(slots=True)
class Spread:
    """How so many waits lay, in ms."""

    count: int
    p50_ms: float
    p99_ms: float
    most_ms: float

    @classmethod
    def of(cls, waits_s: Sequence[float]) -> "Spread | None":
        """Return how these waits lay; None of none."""
        if not waits_s:
            return None
        ordered = sorted(waits_s)
        last = len(ordered) - 1
        p50, p99, most = (round(1000 * ordered[round(q * last)], 1) for q in (0.5, 0.99, 1.0))
        return cls(len(ordered), p50, p99, most)


class Figures:
    """The waits since the last `begin`; times are monotonic seconds."""

    def __init__(self) -> None:
        self._asked_s: dict[str, float] = {}
        self._read_s: dict[tuple[str, float], float] = {}
        self._accepted_s: list[float] = []
        self._shown_s: list[float] = []
        self._finals: dict[RequestStatus, int] = {}

    def begin(self) -> None:
        """Forget all waits that are over: the fleet stands, and is measured from now on."""
        self._accepted_s, self._shown_s, self._finals = [], [], {}

    @property
    def unanswered(self) -> int:
        """How many requests have had no answer."""
        return len(self._asked_s)

    @property
    def accepted(self) -> Spread | None:
        """The waits from a request to its ACCEPTED."""
        return Spread.of(self._accepted_s)

    @property
    def shown(self) -> Spread | None:
        """The waits from a reading of the meter to its IN_PROGRESS at the driver."""
        return Spread.of(self._shown_s)

    @property
    def finals(self) -> dict[RequestStatus, int]:
        """How many requests ended in which way."""
        return dict(self._finals)

    def on_asked(self, request_id: str, now_s: float) -> None:
        """Note that a driver asked; again is not later."""
        self._asked_s.setdefault(request_id, now_s)

    def on_metered(self, reading: Telemetry, now_s: float) -> None:
        """Note that an engine sent a reading."""
        if len(self._read_s) >= READINGS_MAX:
            del self._read_s[next(iter(self._read_s))]
        self._read_s[reading.session_id, reading.kwh] = now_s

    def on_update(self, update: DriverUpdate, now_s: float) -> None:
        """Take in what a driver was told."""
        asked_s = self._asked_s.pop(update.request_id, None)
        if update.status is RequestStatus.ACCEPTED:
            _keep(self._accepted_s, asked_s, now_s)
        elif update.status is not RequestStatus.IN_PROGRESS:
            self._finals[update.status] = self._finals.get(update.status, 0) + 1
        elif update.session_id is not None and update.kwh is not None:
            read_s = self._read_s.pop((update.session_id, update.kwh), None)
            _keep(self._shown_s, read_s, now_s)


def _keep(waits_s: list[float], since_s: float | None, now_s: float) -> None:
    if since_s is not None and len(waits_s) < WAITS_MAX:
        waits_s.append(now_s - since_s)
