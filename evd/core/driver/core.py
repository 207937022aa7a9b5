"""A driver, decided: it asks until it is answered, and each request ends with one final status.

The rules that keep this true:

- Only what is on disk is said.  A request is saved before it is sent, a final status before it is
  told; one that may not have been told before a crash is told again, the same.
- A START echoes the newest beacon.  Before the first beacon nothing is sent at all.
- Until the first answer the driver may give up: FAILED, and CANCEL until Central has ended the
  request too.  After an answer it never does.
- A save that failed takes its whole step back, as a crash in that moment would have done.
"""

import attrs

from evd.core.driver.events import (
    AskWanted,
    CancelWanted,
    CurrentSession,
    DriverDisk,
    Effect,
    Event,
    Obstacle,
    OpenRequest,
    Refuse,
    Save,
    SaveFailed,
    StopAsked,
    StopWanted,
    Tell,
    Ticked,
)
from evd.core.driver.requests_file import ANY_CP, RequestLine
from evd.core.effects import Level, Note, Now, Send
from evd.core.stall import StallWatch
from evd.core.wire.messages import (
    REQUESTS,
    Action,
    Beacon,
    DriverRequest,
    DriverUpdate,
    RequestStatus,
    Seen,
)

# Until the first answer, and after it.
REPEAT_UNANSWERED_S = 1.0
REPEAT_S = 3.0
# Open ones, and given up ones whose CANCEL is not answered yet; at the bound none is begun.
REQUESTS_MAX = 100
# Final statuses that are remembered, so that one which is repeated is told to nobody.
FINALS_MAX = 200
# Requests that others have made for this driver, the operator for instance: nobody here repeats
# them, so one that nothing is heard of may long be over.
OTHERS_MAX = 20
OTHERS_FORGOTTEN_S = 60.0

NO_COORDINATOR = "no coordinator"


@attrs.frozen(kw_only=True)
class DriverSettings:
    """Whose driver this is and how it asks.  Without a requests file, `file_lines` is empty;
    where it `repeats`, its first line follows its last."""

    driver_id: str
    request_interval_s: float
    request_timeout_s: float
    file_digest: str = ""
    file_lines: tuple[RequestLine, ...] = ()
    file_repeats: bool = False


@attrs.define
class _Asking:
    """What a restart may forget of an open request; the times are monotonic."""

    since_s: float
    sent_s: float | None = None


@attrs.frozen
class _Shown:
    """What was last told of a running request, and the last reading among it."""

    last: DriverUpdate
    reading: DriverUpdate | None = None

    def then(self, update: DriverUpdate) -> "_Shown":
        return _Shown(update, self.reading if update.kwh is None else update)


class Driver:
    """The decisions of one driver: `handle` takes an event and says what must be done, in order."""

    def __init__(self, settings: DriverSettings, disk: DriverDisk, now: Now) -> None:
        self._settings = settings
        self._disk = disk
        if settings.file_digest != disk.file_digest:
            self._disk = attrs.evolve(disk, file_digest=settings.file_digest, file_line=0)
        # What is on disk now, None where nobody can tell; and what was meant before the last step.
        self._saved: DriverDisk | None = disk
        self._before = self._disk
        self._beacon: Beacon | None = None
        self._stall = StallWatch()
        self._asking = {each.request_id: _Asking(now.mono_s) for each in disk.requests}
        self._others: dict[str, OpenRequest] = {}
        self._others_heard_s: dict[str, float] = {}
        self._shown: dict[str, _Shown] = {}
        # A file that was begun before a restart waits as long as after any other end.
        begun = self._disk.file_line > 0
        self._next_s = now.mono_s + (settings.request_interval_s if begun else 0.0)
        self._file_ended = False
        self._effects: list[Effect] = []

    @property
    def beacon(self) -> Beacon | None:
        """The newest beacon, None before the first."""
        return self._beacon

    @property
    def finals(self) -> tuple[DriverUpdate, ...]:
        """The newest final statuses, oldest first."""
        return self._disk.finals

    @property
    def open_count(self) -> int:
        """How many requests Central has not ended yet."""
        return len(self._disk.requests)

    @property
    def current(self) -> CurrentSession | None:
        """The running session as far as it is known here."""
        for request in (*self._disk.requests, *self._others.values()):
            cp_id, started_at = request.session_cp_id, request.started_at
            if request.given_up or not request.session_id or not cp_id or not started_at:
                continue
            shown = self._shown.get(request.request_id)
            reading = shown and shown.reading
            meter = (reading.kw, reading.kwh, reading.euros) if reading else (None, None, None)
            return CurrentSession(request.session_id, cp_id, *meter, started_at)
        return None

    def handle(self, event: Event, now: Now) -> list[Effect]:
        """What must be done about `event`, in this order."""
        if isinstance(event, SaveFailed):
            # It may have reached the disk all the same: the next step saves what holds now.
            self._disk, self._saved = self._before, None
            return []
        self._before = self._disk
        self._effects = []
        match event:
            case Beacon():
                self._hear(event)
            case DriverUpdate():
                self._update(event, now)
            case Ticked():
                self._tick(event.fresh_request_id, now)
            case AskWanted():
                self._want(event, now)
            case CancelWanted():
                self._cancel(event.request_id, now)
            case StopWanted():
                self._stop(event.session_id, now)
            case StopAsked():
                return self._saved_first()
        self._send_due(now)
        return self._saved_first()

    def _saved_first(self) -> list[Effect]:
        effects = self._effects
        if self._disk != self._saved or self._disk.untold:
            self._saved = self._disk
            effects = [Save(self._disk), *map(Tell, self._disk.untold), *effects]
            # Forgotten on disk with the next save: till then a crash tells them again.
            self._disk = attrs.evolve(self._disk, untold=())
        return effects

    # What Central says

    def _hear(self, beacon: Beacon) -> None:
        newest = self._beacon
        known = newest and (newest.central_id, newest.epoch) == (beacon.central_id, beacon.epoch)
        if newest and known and beacon.up_s < newest.up_s:
            return
        if not known:
            self._note(Level.INFO, f"Central {beacon.central_id} heard, epoch {beacon.epoch}")
        self._beacon = beacon

    def _update(self, update: DriverUpdate, now: Now) -> None:
        # Others' keys may share the partition.
        mine = update.driver_id == self._settings.driver_id
        if not mine or update.status is RequestStatus.PENDING:
            return
        request = self._open(update.request_id)
        if request and request.given_up:
            if update.status.final:
                self._close(request, update)
        elif self._final(update.request_id):
            return
        elif update.status.final:
            self._end(update, now)
        else:
            self._progress(request, update, now)

    def _close(self, request: OpenRequest, update: DriverUpdate) -> None:
        """Central has ended a request that the driver gave up: nothing is told any more."""
        self._disk = attrs.evolve(self._disk, requests=self._requests_without(request.request_id))
        if update.status is not RequestStatus.FAILED:
            self._note(
                Level.WARNING,
                f"{request.request_id} was given up, yet it ended {update.status}: {update.reason}",
            )

    def _progress(self, known: OpenRequest | None, update: DriverUpdate, now: Now) -> None:
        request = (
            known
            or self._others.get(update.request_id)
            or _unanswered(update.request_id, update.cp_id, None)
        )
        heard = attrs.evolve(request, answered=True)
        if update.session_id and update.cp_id and not request.session_id:
            heard = attrs.evolve(
                heard,
                session_id=update.session_id,
                session_cp_id=update.cp_id,
                started_at=update.ts or now.wall,
            )
        if known:
            self._put(heard)
        else:
            self._remember_other(heard, now)
        if not request.answered or self._is_news(update):
            shown = self._shown.get(update.request_id)
            self._shown[update.request_id] = (shown or _Shown(update)).then(update)
            self._effects.append(Tell(update))

    def _is_news(self, update: DriverUpdate) -> bool:
        # A START that is repeated gets its stored answer each time: that says nothing new.
        if update.status is not RequestStatus.IN_PROGRESS:
            return False
        if update.kwh is None and not update.reason:
            return False
        shown = self._shown.get(update.request_id)
        if shown is None:
            return True
        if update.kwh is not None and shown.reading and update.kwh < (shown.reading.kwh or 0.0):
            # An older one that was delivered late, or twice.
            return False
        return _content(update) != _content(shown.last)

    def _remember_other(self, request: OpenRequest, now: Now) -> None:
        if request.request_id not in self._others and len(self._others) >= OTHERS_MAX:
            self._forget_other(min(self._others_heard_s, key=self._others_heard_s.__getitem__))
        self._others[request.request_id] = request
        self._others_heard_s[request.request_id] = now.mono_s

    def _forget_other(self, request_id: str) -> None:
        for memory in (self._others, self._others_heard_s, self._shown):
            memory.pop(request_id, None)

    def _end(self, update: DriverUpdate, now: Now) -> None:
        """The request's one final status: remembered, and told as soon as it is saved."""
        disk = self._disk
        self._disk = attrs.evolve(
            disk,
            requests=self._requests_without(update.request_id),
            finals=(*disk.finals, update)[-FINALS_MAX:],
            untold=(*disk.untold, update),
        )
        self._forget_other(update.request_id)
        self._next_s = now.mono_s + self._settings.request_interval_s

    # What the driver wants

    def _want(self, event: AskWanted, now: Now) -> None:
        if len(self._disk.requests) >= REQUESTS_MAX:
            self._refuse(Obstacle.FULL, f"{REQUESTS_MAX} requests wait for Central already")
        else:
            self._ask(event.request_id, event.cp_id, event.vehicle_id, now)

    def _ask(self, request_id: str, cp_id: str | None, vehicle_id: str | None, now: Now) -> None:
        request = _unanswered(request_id, cp_id, vehicle_id)
        self._disk = attrs.evolve(self._disk, requests=(*self._disk.requests, request))
        self._asking[request_id] = _Asking(now.mono_s)
        self._note(Level.INFO, f"Requested charging at {cp_id or ANY_CP} ({request_id})")

    def _cancel(self, request_id: str, now: Now) -> None:
        request = self._open(request_id) or self._others.get(request_id)
        if self._final(request_id) or (request and request.given_up):
            self._refuse(Obstacle.OVER, f"request {request_id} has ended")
        elif request is None:
            self._refuse(Obstacle.UNKNOWN, f"no request {request_id}")
        elif request.action is Action.START:
            self._ask_instead(request, Action.STOP if request.answered else Action.CANCEL, now)

    def _stop(self, session_id: str, now: Now) -> None:
        candidates = (*self._disk.requests, *self._others.values())
        request = next((r for r in candidates if r.session_id == session_id), None)
        if any(final.session_id == session_id for final in self._disk.finals):
            self._refuse(Obstacle.OVER, f"session {session_id} has ended")
        elif request is None:
            self._refuse(Obstacle.UNKNOWN, f"no session {session_id}")
        elif request.action is Action.START:
            self._ask_instead(request, Action.STOP, now)

    def _ask_instead(self, request: OpenRequest, action: Action, now: Now) -> None:
        if self._open(request.request_id) is None:
            if len(self._disk.requests) >= REQUESTS_MAX:
                self._refuse(Obstacle.FULL, f"{REQUESTS_MAX} requests wait for Central already")
                return
            self._others.pop(request.request_id)
            self._others_heard_s.pop(request.request_id)
        self._put(attrs.evolve(request, action=action))
        self._asking[request.request_id] = _Asking(now.mono_s)

    # What time brings

    def _tick(self, fresh_request_id: str, now: Now) -> None:
        stalled = self._stall.observe(now.mono_s)
        open_ids = {request.request_id for request in self._disk.requests}
        self._asking = {key: each for key, each in self._asking.items() if key in open_ids}
        for request_id, heard_s in list(self._others_heard_s.items()):
            if now.mono_s - heard_s > OTHERS_FORGOTTEN_S:
                self._forget_other(request_id)
        for request in self._disk.requests:
            asking = self._asking_of(request, now)
            if stalled:
                # It was this process that was away: no answer proves nothing yet.
                asking.since_s = now.mono_s
            waited_s = now.mono_s - asking.since_s
            waits = not request.answered and not request.given_up
            if waits and waited_s >= self._settings.request_timeout_s:
                self._give_up(request, now)
        self._next_of_file(fresh_request_id, now)

    def _give_up(self, request: OpenRequest, now: Now) -> None:
        self._end(
            DriverUpdate(
                request.request_id,
                self._settings.driver_id,
                request.cp_id,
                RequestStatus.FAILED,
                NO_COORDINATOR,
                ts=now.wall,
            ),
            now,
        )
        given_up = attrs.evolve(request, action=Action.CANCEL, given_up=True)
        self._disk = attrs.evolve(self._disk, requests=(*self._disk.requests, given_up))
        self._asking[request.request_id] = _Asking(now.mono_s)

    def _next_of_file(self, request_id: str, now: Now) -> None:
        busy = any(not request.given_up for request in self._disk.requests)
        if busy or now.mono_s < self._next_s or len(self._disk.requests) >= REQUESTS_MAX:
            return
        place = self._disk.file_line
        lines = self._settings.file_lines
        line = next((each for each in lines if each.line_number > place), None)
        if line is None and lines and self._settings.file_repeats:
            self._note(Level.INFO, "The requests file begins anew")
            line = lines[0]
        if line is None:
            if lines and not self._file_ended:
                self._note(Level.INFO, "The requests file is at its end")
            self._file_ended = True
            return
        self._disk = attrs.evolve(self._disk, file_line=line.line_number)
        self._ask(request_id, line.cp_id, None, now)

    def _send_due(self, now: Now) -> None:
        if self._beacon is None:
            return
        for request in self._disk.requests:
            asking = self._asking_of(request, now)
            unanswered = request.action is Action.START and not request.answered
            every_s = REPEAT_UNANSWERED_S if unanswered else REPEAT_S
            if asking.sent_s is None or now.mono_s - asking.sent_s >= every_s:
                asking.sent_s = now.mono_s
                self._effects.append(self._sent(request, self._beacon))

    def _sent(self, request: OpenRequest, beacon: Beacon) -> Send:
        is_start = request.action is Action.START
        message = DriverRequest(
            request.request_id,
            self._settings.driver_id,
            request.cp_id,
            request.action,
            seen=Seen(beacon.central_id, beacon.epoch, beacon.up_s) if is_start else None,
            vehicle_id=request.vehicle_id,
        )
        return Send(REQUESTS, request.cp_id or self._settings.driver_id, message)

    # What is known

    def _open(self, request_id: str) -> OpenRequest | None:
        return next((r for r in self._disk.requests if r.request_id == request_id), None)

    def _final(self, request_id: str) -> DriverUpdate | None:
        return next((f for f in self._disk.finals if f.request_id == request_id), None)

    def _asking_of(self, request: OpenRequest, now: Now) -> _Asking:
        return self._asking.setdefault(request.request_id, _Asking(now.mono_s))

    def _put(self, request: OpenRequest) -> None:
        requests = {each.request_id: each for each in self._disk.requests}
        requests[request.request_id] = request
        self._disk = attrs.evolve(self._disk, requests=tuple(requests.values()))

    def _requests_without(self, request_id: str) -> tuple[OpenRequest, ...]:
        return tuple(r for r in self._disk.requests if r.request_id != request_id)

    def _refuse(self, obstacle: Obstacle, reason: str) -> None:
        self._effects.append(Refuse(obstacle, reason))

    def _note(self, level: Level, text: str) -> None:
        self._effects.append(Note(level, text))


def _unanswered(request_id: str, cp_id: str | None, vehicle_id: str | None) -> OpenRequest:
    return OpenRequest(
        request_id, cp_id, vehicle_id, action=Action.START, answered=False, given_up=False
    )


def _content(update: DriverUpdate) -> DriverUpdate:
    return attrs.evolve(update, ts=None, message_id=None)
