"""What the parts of Central's core share: its rows, its charging points, its clock, its effects."""

import attrs

from evd.core.central.breaker import Breaker
from evd.core.central.events import Answer, HangUp, Reply
from evd.core.central.ledger import Ledger
from evd.core.central.point import Point
from evd.core.central.rows import (
    ChargingPoint,
    EventType,
    FaultEvent,
    Image,
    Meta,
    Request,
    Row,
    Session,
    SessionStatus,
)
from evd.core.effects import Level, Note, Now, Send
from evd.core.wire.messages import BEACONS, COMMANDS, Beacon, Command, Message, Payload


@attrs.frozen(slots=True)
class CentralSettings:
    """Central's bounds, in seconds, as its flags give them."""

    heartbeat_timeout_s: float = 3.0
    start_timeout_s: float = 5.0
    engine_gone_after_s: float = 30.0
    session_lost_after_s: float = 900.0
    restart_grace_s: float = 3.0


@attrs.frozen(slots=True)
class Save:
    """Write a row durably, over the one with its key.  The saves of one event are one commit."""

    row: Row


Effect = Save | Send | Note | Answer | HangUp | Reply


class State:
    """Shared by the parts of Central.  `now` is the moment of the event at hand."""

    def __init__(self, settings: CentralSettings, image: Image, now: Now) -> None:
        self.settings = settings
        self.meta = image.meta
        self.now = now
        self.started_s = now.mono_s
        self.ledger = Ledger()
        self.points: dict[str, Point] = {}
        self.effects: list[Effect] = []
        # The newest meter of each ACTIVE session, in mWh.
        self.meters_mwh: dict[str, int] = {}
        # A Central that no monitor has registered with may be one too many: it stays silent.
        self.speaks = False
        for row in image.charging_points:
            self.add_point(row)
        for session in image.sessions:
            self.ledger.put_session(session)
            self.meters_mwh[session.session_id] = session.energy_mwh
        for request in image.requests:
            self.ledger.put_request(request)

    @property
    def up_s(self) -> float:
        """Central's uptime in seconds."""
        return self.now.mono_s - self.started_s

    @property
    def in_grace(self) -> bool:
        """Whether monitors may still be on their way back after Central's start."""
        return self.up_s < self.settings.restart_grace_s

    def take_effects(self) -> list[Effect]:
        """The effects so far, handed over."""
        effects, self.effects = self.effects, []
        return effects

    def add_point(self, row: ChargingPoint) -> Point:
        """Begin to keep a charging point in memory."""
        breaker = Breaker(row.breaker, row.breaker_failures, row.breaker_successes, self.now.mono_s)
        point = Point(row, breaker, idle_since_s=self.now.mono_s, engine_status=row.engine_status)
        self.points[row.cp_id] = point
        return point

    def save_request(self, row: Request) -> None:
        """Write a request."""
        self.ledger.put_request(row)
        self.effects.append(Save(row))

    def save_session(self, row: Session) -> None:
        """Write a session; an open one with the newest meter that was heard of it."""
        if row.status is SessionStatus.ACTIVE:
            metered_mwh = self.meters_mwh.get(row.session_id, 0)
            row = attrs.evolve(row, energy_mwh=max(row.energy_mwh, metered_mwh))
        self.ledger.put_session(row)
        self.effects.append(Save(row))

    def save_point(self, point: Point, row: ChargingPoint) -> None:
        """Write a charging point, if anything in it is new."""
        if row != point.row:
            point.row = attrs.evolve(row, last_update=self.now.wall)
            self.effects.append(Save(point.row))

    def save_breaker(self, point: Point, breaker: Breaker) -> None:
        """Write a charging point's breaker, if it changed."""
        before, point.breaker = point.breaker, breaker
        if before.state is not breaker.state:
            self.note(
                Level.WARNING,
                f"CP {point.cp_id}: circuit breaker {before.state} -> {breaker.state}",
            )
        self.save_point(
            point,
            attrs.evolve(
                point.row,
                breaker=breaker.state,
                breaker_failures=breaker.failures,
                breaker_successes=breaker.successes,
            ),
        )

    def save_event(self, cp_id: str, event_type: EventType, reason: str) -> None:
        """Append to the history of faults."""
        self.effects.append(Save(FaultEvent(cp_id, event_type, reason, self.now.wall)))

    def save_meta(self, meta: Meta) -> None:
        """Write the row about the database itself."""
        self.meta = meta
        self.effects.append(Save(meta))

    def send(self, topic: str, key: str, message: Message) -> None:
        """Say something on Kafka, unless Central holds its tongue."""
        if self.speaks:
            self.effects.append(Send(topic, key, message))

    def command(self, cp_id: str, payload: Payload) -> None:
        """Tell an engine something."""
        self.send(COMMANDS, cp_id, Command(cp_id, self.meta.central_id, payload))

    def beacon(self) -> None:
        """Say that Central is there."""
        message = Beacon(self.meta.central_id, self.meta.epoch, round(self.up_s, 3))
        self.send(BEACONS, self.meta.central_id, message)

    def note(self, level: Level, text: str) -> None:
        """Log a line."""
        self.effects.append(Note(level, text))
