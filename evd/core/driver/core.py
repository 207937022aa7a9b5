"""A driver, decided: it asks until it is answered, and each request ends with one final status.

The rules that keep this true:

- Only saved state is said.  A request is saved before it is sent, a final status before it is
  told; one that may not have been told before a crash is told again, the same.
- A START echoes the newest beacon.  Before the first beacon nothing is sent at all.
- Until the first answer the driver may give up: FAILED, and CANCEL until Central has ended the
  request too.  After an answer it never does.
- A save that failed takes its whole step back, as a crash in that moment would have done.
"""

import math

import attrs

from evd.core.driver.asking import Asking
from evd.core.driver.disk import REQUESTS_MAX, DriverDisk, OpenRequest, new_request
from evd.core.driver.events import (
    AskWanted,
    CancelWanted,
    CurrentRequest,
    CurrentSession,
    Effect,
    Event,
    Obstacle,
    Refuse,
    Save,
    StopAsked,
    StopWanted,
    Tell,
    Ticked,
    Wanted,
)
from evd.core.driver.file_reader import FileReader
from evd.core.driver.progress import Progress
from evd.core.driver.requests_file import ANY_CP, RequestLine
from evd.core.effects import Level, Note, Now
from evd.core.machine import Saved, SaveFailed
from evd.core.stall import StallWatch
from evd.core.wire.messages import Action, Beacon, DriverUpdate, RequestStatus

NO_COORDINATOR = "no coordinator"
TICK_S = 0.25


@attrs.frozen(kw_only=True)
class DriverSettings:
    """The driver's id and how it asks; durations in seconds.

    Without a requests file, `file_lines` is empty; where it `repeats`, its first line follows its
    last.
    """

    driver_id: str
    request_interval_s: float
    request_timeout_s: float
    file_digest: str = ""
    file_lines: tuple[RequestLine, ...] = ()
    file_repeats: bool = False


class Driver:
    """The decisions of one driver, with `disk` as it was found at the start."""

    def __init__(self, settings: DriverSettings, disk: DriverDisk) -> None:
        self._settings = settings
        # The content of the disk, None where nobody can tell.
        self._saved: DriverDisk | None = disk
        if settings.file_digest != disk.file_digest:
            disk = attrs.evolve(disk, file_digest=settings.file_digest, file_line=0)
        self._disk = self._before = disk
        self._asking = Asking(settings.driver_id)
        self._progress = Progress()
        self._file = FileReader(settings.file_lines, settings.file_repeats)
        self._stall = StallWatch()
        self._next_of_file_s = self._wake_at_s = -math.inf

    @property
    def wake_at_s(self) -> float:
        """The monotonic time of the next `Ticked`; other events don't put it off."""
        return self._wake_at_s

    @property
    def finals(self) -> tuple[DriverUpdate, ...]:
        """The newest final statuses, oldest first."""
        return self._disk.finals

    @property
    def open_count(self) -> int:
        """The number of requests that Central has not ended yet."""
        return len(self._disk.requests)

    @property
    def current(self) -> CurrentSession | None:
        """The running session as far as it is known here."""
        return self._progress.current(self._disk.requests)

    @property
    def requests(self) -> tuple[CurrentRequest, ...]:
        """The requests that have not ended, as the driver may see and end them."""
        return tuple(self._progress.open_requests(self._disk.requests))

    def start(self, now: Now) -> list[Effect]:
        """Take up the open requests, and tell the final statuses that may not have been told."""
        for request in self._disk.requests:
            self._asking.begin(request.request_id, now.mono_s)
        if self._disk.file_line > 0:
            # A file that was begun before a restart waits as after any other end.
            self._next_of_file_s = now.mono_s + self._settings.request_interval_s
        self._wake_at_s = now.mono_s + TICK_S
        return self._saved_first([])

    def handle(self, event: Event, now: Now) -> list[Effect]:
        """Return what must be done about `event`, in this order."""
        if self._stall.observe(now.mono_s):
            self._asking.on_stall(now.mono_s)
        if isinstance(event, Saved):
            return self._on_saved()
        if isinstance(event, SaveFailed):
            return self._on_save_failed()
        self._before = self._disk
        effects = self._decide(event, now)
        if not isinstance(event, StopAsked):
            effects += self._asking.due(self._disk.requests, now.mono_s)
        return self._saved_first(effects)

    def _decide(
        self, event: Beacon | DriverUpdate | Ticked | Wanted | StopAsked, now: Now
    ) -> list[Effect]:
        match event:
            case StopAsked():
                return []
            case Beacon():
                return [*self._asking.on_beacon(event, now.mono_s)]
            case DriverUpdate():
                return self._on_update(event, now)
            case Ticked():
                return self._on_tick(event.fresh_request_id, now)
            case AskWanted():
                return self._on_ask_wanted(event, now)
            case CancelWanted():
                return self._on_cancel_wanted(event.request_id, now)
            case StopWanted():
                return self._on_stop_wanted(event.session_id, now)

    def _saved_first(self, effects: list[Effect]) -> list[Effect]:
        if self._disk == self._saved and not self._disk.untold:
            return effects
        return [Save(self._disk), *map(Tell, self._disk.untold), *effects]

    def _on_saved(self) -> list[Effect]:
        self._saved = self._disk
        # The next save clears `untold` on disk: until then a crash tells them again.
        self._disk = attrs.evolve(self._disk, untold=())
        return []

    def _on_save_failed(self) -> list[Effect]:
        # The save may have reached the disk all the same: the next step saves what holds now.
        self._disk, self._saved = self._before, None
        return []

    def _on_update(self, update: DriverUpdate, now: Now) -> list[Effect]:
        if update.status is RequestStatus.PENDING:
            return []
        request = self._disk.request(update.request_id)
        if request and request.given_up:
            return self._on_update_of_given_up(update)
        if self._disk.has_ended(update.request_id):
            return []
        if update.status.final:
            self._end(update, now)
            return []
        return self._on_progress(request, update, now)

    def _on_update_of_given_up(self, update: DriverUpdate) -> list[Effect]:
        """Stop to ask once Central has ended the request; the driver was told FAILED before."""
        if not update.status.final:
            return []
        self._disk = self._disk.without_request(update.request_id)
        if update.status is RequestStatus.FAILED:
            return []
        ending = f"was given up, yet it ended {update.status}: {update.reason}"
        return [Note(Level.WARNING, f"{update.request_id} {ending}")]

    def _on_progress(self, own: OpenRequest | None, update: DriverUpdate, now: Now) -> list[Effect]:
        request = own or self._progress.other(update.request_id)
        request = request or new_request(update.request_id, update.cp_id, None)
        heard = attrs.evolve(request, answered=True)
        if update.session_id and update.cp_id and not request.session_id:
            heard = attrs.evolve(
                heard,
                session_id=update.session_id,
                session_cp_id=update.cp_id,
                started_at=update.ts or now.wall,
            )
        if own:
            self._disk = self._disk.with_request(heard)
        else:
            self._progress.keep_other(heard, now.mono_s)
        if request.answered and not self._progress.is_news(update):
            return []
        told_at = update.ts or now.wall
        started_at = heard.started_at or told_at
        self._progress.show(update, now.mono_s, (told_at - started_at).total_seconds())
        return [Tell(update)]

    def _end(self, update: DriverUpdate, now: Now) -> None:
        """Keep the one final status of a request; it is told as soon as it is saved."""
        self._disk = self._disk.with_final(update)
        self._progress.forget(update.request_id)
        self._next_of_file_s = now.mono_s + self._settings.request_interval_s

    def _on_ask_wanted(self, event: AskWanted, now: Now) -> list[Effect]:
        if self._disk.is_full:
            return [_refuse_full()]
        return [self._ask(event.request_id, event.cp_id, event.vehicle_id, now)]

    def _ask(self, request_id: str, cp_id: str | None, vehicle_id: str | None, now: Now) -> Note:
        self._disk = self._disk.with_request(new_request(request_id, cp_id, vehicle_id))
        self._asking.begin(request_id, now.mono_s)
        return Note(Level.INFO, f"Requested charging at {cp_id or ANY_CP} ({request_id})")

    def _on_cancel_wanted(self, request_id: str, now: Now) -> list[Effect]:
        request = self._disk.request(request_id) or self._progress.other(request_id)
        if self._disk.has_ended(request_id):
            return [Refuse(Obstacle.OVER, f"request {request_id} has ended")]
        if request is None:
            return [Refuse(Obstacle.UNKNOWN, f"no request {request_id}")]
        return self._ask_instead(request, Action.STOP if request.answered else Action.CANCEL, now)

    def _on_stop_wanted(self, session_id: str, now: Now) -> list[Effect]:
        candidates = (*self._disk.requests, *self._progress.others)
        request = next((each for each in candidates if each.session_id == session_id), None)
        if any(final.session_id == session_id for final in self._disk.finals):
            return [Refuse(Obstacle.OVER, f"session {session_id} has ended")]
        if request is None:
            return [Refuse(Obstacle.UNKNOWN, f"no session {session_id}")]
        return self._ask_instead(request, Action.STOP, now)

    def _ask_instead(self, request: OpenRequest, action: Action, now: Now) -> list[Effect]:
        """Ask for `action` in place of a START; a request that is ending already goes on so."""
        if request.action is not Action.START:
            return []
        if self._disk.request(request.request_id) is None and self._disk.is_full:
            return [_refuse_full()]
        self._progress.take_over(request.request_id)
        self._disk = self._disk.with_request(attrs.evolve(request, action=action))
        self._asking.begin(request.request_id, now.mono_s)
        return []

    def _on_tick(self, fresh_request_id: str, now: Now) -> list[Effect]:
        self._wake_at_s = now.mono_s + TICK_S
        self._progress.on_tick(now.mono_s)
        for request in self._disk.requests:
            waits = not request.answered and not request.given_up
            waited_s = self._asking.waited_s(request.request_id, now.mono_s)
            if waits and waited_s >= self._settings.request_timeout_s:
                self._give_up(request, now)
        return self._ask_from_file(fresh_request_id, now)

    def _give_up(self, request: OpenRequest, now: Now) -> None:
        failed = DriverUpdate(
            request.request_id,
            self._settings.driver_id,
            request.cp_id,
            RequestStatus.FAILED,
            NO_COORDINATOR,
            ts=now.wall,
        )
        self._end(failed, now)
        given_up = attrs.evolve(request, action=Action.CANCEL, given_up=True)
        self._disk = self._disk.with_request(given_up)
        self._asking.begin(request.request_id, now.mono_s)

    def _ask_from_file(self, request_id: str, now: Now) -> list[Effect]:
        busy = any(not request.given_up for request in self._disk.requests)
        if busy or now.mono_s < self._next_of_file_s or self._disk.is_full:
            return []
        line, notes = self._file.next_line(self._disk.file_line)
        if line is None:
            return [*notes]
        self._disk = attrs.evolve(self._disk, file_line=line.line_number)
        return [*notes, self._ask(request_id, line.cp_id, None, now)]


def _refuse_full() -> Refuse:
    return Refuse(Obstacle.FULL, f"{REQUESTS_MAX} requests wait for Central already")
