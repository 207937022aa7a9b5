"""The drivers of a played fleet: each asks for one charging point, as often as a real one does."""

from itertools import islice
from typing import Final

import attrs
import orjson

from evd.core.deadlines import Deadlines
from evd.core.fleet.events import Post, Progress
from evd.core.fleet.figures import Figures
from evd.core.wire.messages import REQUESTS, Action, Beacon, DriverUpdate

# As real ones by default: the pace until the first answer, after it, and how long they wait.
UNANSWERED_S: Final = 1.0
ANSWERED_S: Final = 3.0
PATIENCE_S: Final = 10.0


@attrs.define(slots=True)
class _Open:
    request_id: str
    cp_id: str
    asked_s: float
    action: Action = Action.START
    is_answered: bool = False


class Drivers:
    """A driver for each charging point, with one request at a time.  Times are monotonic."""

    def __init__(self, run_id: str, figures: Figures) -> None:
        """`run_id`, another one for each run, keeps their requests apart from all others."""
        self._run_id = run_id
        self._figures = figures
        self._beacon: Beacon | None = None
        # The same as a START shows it, in JSON.
        self._seen = b""
        self._open: dict[str, _Open] = {}
        self._busy: set[str] = set()
        self._timers = Deadlines[str]()
        self._number = 0
        # Requests without any answer within PATIENCE_S.
        self.given_up_count = 0

    @property
    def central_id(self) -> str | None:
        """The Central whose beacon was heard last."""
        return None if self._beacon is None else self._beacon.central_id

    @property
    def open_count(self) -> int:
        """How many requests have no end yet."""
        return len(self._open)

    def is_busy(self, cp_id: str) -> bool:
        """Whether the driver of this charging point has an open request."""
        return cp_id in self._busy

    def on_beacon(self, beacon: Beacon) -> None:
        """Keep the newest: each START echoes it."""
        self._beacon = beacon
        self._seen = orjson.dumps(
            {"central_id": beacon.central_id, "epoch": beacon.epoch, "up_s": beacon.up_s}
        )

    def ask(self, cp_id: str, now_s: float) -> list[Post]:
        """Have the driver of a charging point ask for it; nothing before the first beacon."""
        if self._beacon is None:
            return []
        self._number += 1
        request = _Open(f"req-{self._run_id}-{self._number}", cp_id, now_s)
        self._open[request.request_id] = request
        self._busy.add(cp_id)
        self._figures.on_asked(request.request_id, now_s)
        return self._say(request, now_s)

    def on_update(self, update: DriverUpdate, now_s: float) -> bool:
        """Take in news of a request; whether it is one of ours."""
        request = self._open.get(update.request_id)
        if request is None:
            return False
        self._figures.on_update(update, now_s)
        request.is_answered = True
        if update.status.final:
            del self._open[update.request_id]
            self._busy.discard(request.cp_id)
            self._timers.forget(update.request_id)
        return True

    def on_progress(self, progress: Progress, now_s: float) -> bool:
        """Take in that a driver was told of a reading; whether it is one of ours."""
        request = self._open.get(progress.request_id)
        if request is None:
            return False
        self._figures.on_progress(progress, now_s)
        request.is_answered = True
        return True

    @property
    def wake_at_s(self) -> float:
        """The time at which a request is to be repeated."""
        return self._timers.next_s

    def tick(self, now_s: float, count_max: int) -> list[Post]:
        """Repeat what has no end yet."""
        posts: list[Post] = []
        for request_id, _ in islice(self._timers.timed(now_s), count_max):
            request = self._open[request_id]
            waited_s = now_s - request.asked_s
            is_over = waited_s >= PATIENCE_S and not request.is_answered
            if is_over and request.action is Action.START:
                request.action = Action.CANCEL
                self.given_up_count += 1
            posts += self._say(request, now_s)
        return posts

    def _say(self, request: _Open, now_s: float) -> list[Post]:
        is_slow = request.is_answered or request.action is Action.CANCEL
        self._timers.set(request.request_id, now_s + (ANSWERED_S if is_slow else UNANSWERED_S))
        if not self._seen:
            return []
        cp_id = request.cp_id
        # The form of an id leaves nothing in it to escape.
        said = (
            f'{{"request_id":"{request.request_id}","driver_id":"{driver_of(cp_id)}"'
            f',"cp_id":"{cp_id}","action":"{request.action}","seen":'
        )
        return [Post(REQUESTS, cp_id, said.encode() + self._seen)]


def driver_of(cp_id: str) -> str:
    """Return the id of the driver who always asks for this charging point."""
    return f"{cp_id}-driver"
