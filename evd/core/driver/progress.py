"""The requests that run, as far as this process has heard: news of them, and others' requests.

A request of another program for this driver, such as the operator's, is shown here and asked by
nobody here.  So one that nothing is heard of may long be over, and is forgotten.
"""

from collections.abc import Iterable, Iterator

import attrs

from evd.core.curve import Curve
from evd.core.driver.disk import OpenRequest
from evd.core.driver.events import CurrentRequest, CurrentSession
from evd.core.wire.messages import Action, DriverUpdate, RequestStatus

OTHERS_MAX = 20
OTHERS_FORGOTTEN_S = 60.0


@attrs.frozen
class _Shown:
    """The update that was told last, the last one with a reading, and the curve of them."""

    last: DriverUpdate
    reading: DriverUpdate | None = None
    curve: Curve | None = None


@attrs.frozen
class _Other:
    request: OpenRequest
    heard_s: float


class Progress:
    """The updates that were told of running requests; a restart may forget all of it."""

    def __init__(self) -> None:
        self._shown: dict[str, _Shown] = {}
        self._others: dict[str, _Other] = {}

    @property
    def others(self) -> Iterator[OpenRequest]:
        """The requests that other programs have made for this driver."""
        return (other.request for other in self._others.values())

    def other(self, request_id: str) -> OpenRequest | None:
        """The request of another program with this id."""
        found = self._others.get(request_id)
        return None if found is None else found.request

    def keep_other(self, request: OpenRequest, now_s: float) -> None:
        """Keep another program's request; evict the one that was silent for longest."""
        if request.request_id not in self._others and len(self._others) >= OTHERS_MAX:
            self.forget(min(self._others, key=lambda each: self._others[each].heard_s))
        self._others[request.request_id] = _Other(request, now_s)

    def take_over(self, request_id: str) -> None:
        """Make another program's request an own one: it is asked here from now on."""
        self._others.pop(request_id, None)

    def forget(self, request_id: str) -> None:
        """Forget a request that has ended."""
        self._others.pop(request_id, None)
        self._shown.pop(request_id, None)

    def on_tick(self, now_s: float) -> None:
        """Forget the others' requests that nothing was heard of for OTHERS_FORGOTTEN_S."""
        for request_id, other in list(self._others.items()):
            if now_s - other.heard_s > OTHERS_FORGOTTEN_S:
                self.forget(request_id)

    def is_news(self, update: DriverUpdate) -> bool:
        """Whether an update of a request that was answered before tells something new."""
        # Each repeated START gets the stored answer again, which is no news.
        if update.status is not RequestStatus.IN_PROGRESS:
            return False
        if update.kwh is None and not update.reason:
            return False
        shown = self._shown.get(update.request_id)
        if shown is None:
            return True
        if update.kwh is not None and shown.reading and update.kwh < (shown.reading.kwh or 0.0):
            # The update came late, or twice.
            return False
        return _content(update) != _content(shown.last)

    def show(self, update: DriverUpdate, now_s: float, ran_s: float) -> None:
        """Remember an update that is told; its session has then run for `ran_s`."""
        shown = self._shown.get(update.request_id) or _Shown(update)
        if update.kwh is None:
            self._shown[update.request_id] = attrs.evolve(shown, last=update)
            return
        curve = shown.curve
        if update.kw is not None:
            # The wall clock says once how long it has run; a jump of it bends no curve.
            curve = curve or Curve(now_s - max(0.0, ran_s))
            curve.take(now_s, update.kw, update.kwh)
        self._shown[update.request_id] = _Shown(update, update, curve)

    def open_requests(self, requests: Iterable[OpenRequest]) -> Iterator[CurrentRequest]:
        """Those of `requests`, and of the others' requests, that are not over for the driver."""
        for request in (*requests, *self.others):
            if request.given_up:
                continue
            shown = self._shown.get(request.request_id)
            heard = shown.last.status if shown else RequestStatus.ACCEPTED
            yield CurrentRequest(
                request.request_id,
                request.session_cp_id or request.cp_id,
                request.session_id,
                heard if request.answered else RequestStatus.PENDING,
                shown.last.reason if shown else "",
                request.action is not Action.START,
            )

    def current(self, requests: Iterable[OpenRequest]) -> CurrentSession | None:
        """The running session of one of `requests`, or of the others' requests."""
        for request in (*requests, *self.others):
            cp_id, started_at = request.session_cp_id, request.started_at
            if request.given_up or not request.session_id or not cp_id or not started_at:
                continue
            shown = self._shown.get(request.request_id)
            reading = shown and shown.reading
            meter = (reading.kw, reading.kwh, reading.euros) if reading else (None, None, None)
            curve = shown.curve.points if shown and shown.curve else ()
            return CurrentSession(request.session_id, cp_id, *meter, started_at, curve)
        return None


def _content(update: DriverUpdate) -> DriverUpdate:
    return attrs.evolve(update, ts=None, message_id=None)
