"""The messages to Central: each open request is asked again until Central has ended it."""

from collections.abc import Iterable

import attrs

from evd.core.driver.disk import OpenRequest
from evd.core.effects import Level, Note, Send
from evd.core.wire.messages import REQUESTS, Action, Beacon, DriverRequest, Seen

# The pace until the first answer, and after it.
REPEAT_UNANSWERED_S = 1.0
REPEAT_S = 3.0
# Central says one a second.
LATE_BEACON_S = 3.0


@attrs.define
class _Clock:
    """The monotonic times of one request, which a restart may forget."""

    since_s: float
    sent_s: float | None = None


class Asking:
    """The pace of the open requests, and the newest beacon, which each START echoes.

    Before the first beacon nothing is sent at all.
    """

    def __init__(self, driver_id: str) -> None:
        self._beacon: Beacon | None = None
        self._beacon_s = 0.0
        self._driver_id = driver_id
        self._clocks: dict[str, _Clock] = {}

    def on_beacon(self, beacon: Beacon, now_s: float) -> list[Note]:
        """Keep the newest beacon; one of the same start with a lower uptime came late.

        Where only lower ones come for LATE_BEACON_S, the highest was none of Central's.
        """
        newest = self._beacon
        known = newest and (newest.central_id, newest.epoch) == (beacon.central_id, beacon.epoch)
        if (
            newest
            and known
            and beacon.up_s < newest.up_s
            and now_s - self._beacon_s < LATE_BEACON_S
        ):
            return []
        self._beacon, self._beacon_s = beacon, now_s
        if known:
            return []
        text = f"Central {beacon.central_id} heard, epoch {beacon.epoch}"
        return [Note(Level.INFO, text, about="Central")]

    def on_stall(self, now_s: float) -> None:
        """Begin each wait for an answer anew: this process itself was stopped."""
        for clock in self._clocks.values():
            clock.since_s = now_s

    def begin(self, request_id: str, now_s: float) -> None:
        """Ask at once, and wait from now on for an answer."""
        self._clocks[request_id] = _Clock(now_s)

    def waited_s(self, request_id: str, now_s: float) -> float:
        """The time in seconds that the request has been asked without an end."""
        return now_s - self._clock(request_id, now_s).since_s

    def due(self, requests: Iterable[OpenRequest], now_s: float) -> list[Send]:
        """Return the messages of all `requests` that are to be asked now; forget all others."""
        requests = tuple(requests)
        self._clocks = {each.request_id: self._clock(each.request_id, now_s) for each in requests}
        if self._beacon is None:
            return []
        sends = []
        for request in requests:
            clock = self._clocks[request.request_id]
            unanswered = request.action is Action.START and not request.answered
            every_s = REPEAT_UNANSWERED_S if unanswered else REPEAT_S
            if clock.sent_s is None or now_s - clock.sent_s >= every_s:
                clock.sent_s = now_s
                sends.append(self._message(request, self._beacon))
        return sends

    def _message(self, request: OpenRequest, beacon: Beacon) -> Send:
        is_start = request.action is Action.START
        message = DriverRequest(
            request.request_id,
            self._driver_id,
            request.cp_id,
            request.action,
            seen=Seen(beacon.central_id, beacon.epoch, beacon.up_s) if is_start else None,
            vehicle_id=request.vehicle_id,
        )
        return Send(REQUESTS, request.cp_id or self._driver_id, message)

    def _clock(self, request_id: str, now_s: float) -> _Clock:
        return self._clocks.setdefault(request_id, _Clock(now_s))
