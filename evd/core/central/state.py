"""The memory that the parts of Central's core share: identity, rows, charging points, time."""

from evd.core.access.access import Access
from evd.core.central.claims import Claims
from evd.core.central.curve import Curves
from evd.core.central.events import CentralSettings, Effect, Save
from evd.core.central.ledger import Ledger
from evd.core.central.point import Point
from evd.core.central.point_index import PointIndex
from evd.core.central.rows import ChargingPoint, Image, Meta, Session
from evd.core.effects import Now, Send
from evd.core.wire.messages import BEACONS, COMMANDS, Beacon, Command, Message, Payload


class State:
    """Central's memory.  `now` is the moment of the event at hand."""

    def __init__(self, settings: CentralSettings, image: Image, now: Now) -> None:
        self.settings = settings
        self.meta = image.meta
        self.now = now
        # The charging points and the ACTIVE sessions that changed since the last tick.
        self._points_changed: dict[str, None] = {}
        self._sessions_changed: dict[str, None] = {}
        # The charging points that changed since somebody last showed them.
        self._shown_changes: dict[str, None] = {}
        self.points: dict[str, Point] = {}
        self.ledger = Ledger(image.requests, image.sessions, self._note_session)
        self.claims = Claims()
        self.index = PointIndex(self.points, self.ledger)
        self.curves = Curves()
        self.access = Access(image.access)
        # A Central that no monitor has registered with may be one too many: it stays silent.
        self.speaks = False
        # When the START of an ACTIVE session was first said, if this Central said it.
        self.starts_s: dict[str, float] = {}
        self._started_s = now.mono_s
        for row in image.charging_points:
            self.add_point(row)

    @property
    def up_s(self) -> float:
        """Central's uptime in seconds."""
        return self.now.mono_s - self._started_s

    @property
    def in_grace(self) -> bool:
        """Whether monitors may still be on their way back after Central's start."""
        return self.up_s < self.settings.restart_grace_s

    def since_start_s(self, session_id: str) -> float | None:
        """Return how long ago a session's START was said; None where Central was not up since."""
        start_s = self.starts_s.get(session_id)
        return None if start_s is None else self.now.mono_s - start_s

    def add_point(self, row: ChargingPoint) -> Point:
        """Begin to keep a charging point in memory."""
        # A PONG is told in a heartbeat, and those come within the time-out.
        pong_age_s = self.settings.heartbeat_timeout_s
        point = Point(row, self.now.mono_s, pong_age_s, self.note_change)
        self.points[row.cp_id] = point
        self.note_change(row.cp_id)
        return point

    def note_change(self, cp_id: str) -> None:
        """Have a charging point looked at again, since it may stand otherwise than before."""
        self._points_changed[cp_id] = self._shown_changes[cp_id] = None
        self.index.mark(cp_id)

    def _note_session(self, row: Session) -> None:
        self._sessions_changed[row.session_id] = None
        # The rows of a start come before there is an index, and before their charging points.
        if row.cp_id in self.points:
            self.note_change(row.cp_id)

    def take_changes(self) -> tuple[list[str], list[str]]:
        """Return the charging points and the sessions that changed since the last time."""
        changes = [*self._points_changed], [*self._sessions_changed]
        self._points_changed.clear()
        self._sessions_changed.clear()
        return changes

    def take_shown_changes(self) -> list[str]:
        """Return the charging points that changed since the last time, for those who show them."""
        changes = [*self._shown_changes]
        self._shown_changes.clear()
        return changes

    def save_meta(self, meta: Meta) -> Save:
        """Write the row about the database itself."""
        self.meta = meta
        return Save(meta)

    def send(self, topic: str, key: str, message: Message) -> list[Effect]:
        """Say something on Kafka, unless Central must stay silent."""
        if not self.speaks:
            return []
        return [Send(topic, key, message)]

    def command(self, cp_id: str, payload: Payload) -> list[Effect]:
        """Tell an engine something."""
        return self.send(COMMANDS, cp_id, Command(cp_id, self.meta.central_id, payload))

    def beacon(self) -> list[Effect]:
        """Say that Central is there."""
        message = Beacon(self.meta.central_id, self.meta.epoch, round(self.up_s, 3))
        return self.send(BEACONS, self.meta.central_id, message)
