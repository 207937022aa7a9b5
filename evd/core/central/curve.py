"""The courses of the sessions that run, each until its session ends and its row is written."""

from evd.core.central.rows import Session, SessionCurve
from evd.core.curve import Curve, CurvePoint
from evd.core.effects import Now


class Curves:
    """The courses of the ACTIVE sessions.  A restart of Central begins each of them anew."""

    def __init__(self) -> None:
        self._of: dict[str, Curve] = {}

    def take(
        self, session: Session, reading: tuple[float, float], now: Now, since_start_s: float | None
    ) -> None:
        """Take a reading, (kW, kWh), of a session whose START was said `since_start_s` ago.

        None: by another Central's process; then the wall clock says when, once.
        """
        curve = self._of.get(session.session_id)
        if curve is None:
            if since_start_s is None:
                since_start_s = max(0.0, (now.wall - session.start_time).total_seconds())
            curve = self._of[session.session_id] = Curve(now.mono_s - since_start_s)
        curve.take(now.mono_s, *reading)

    def points(self, session_id: str) -> tuple[CurvePoint, ...]:
        """Return the course so far of a session; nothing of one that is not known."""
        curve = self._of.get(session_id)
        return () if curve is None else curve.points

    def end(self, session_id: str) -> SessionCurve | None:
        """Let go of a session that ends, and return its row; None where no reading was heard."""
        curve = self._of.pop(session_id, None)
        return None if curve is None else SessionCurve(session_id, curve.points)
