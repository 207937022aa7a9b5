"""The sessions that engines say they run and no row is there for, whichever boot says so.

After a loss of the database a charging point's monitor may be away, or look at a wrong port: then
nobody has said yet that this boot is the charging point's engine, and its report changes nothing.
But a request whose session it names must not be decided: its car may charge.
"""

from typing import Final

from evd.core.wire.messages import CpStatus

# Beyond it the oldest is let go of: each charging point has one engine, and rarely another one.
CLAIMS_MAX: Final = 20_000


class Claims:
    """The newest such claim of each boot, with the time when it was heard, in monotonic seconds."""

    def __init__(self) -> None:
        self._claims: dict[tuple[str, str], tuple[str, float]] = {}

    def hear(self, status: CpStatus, now_s: float, *, has_row: bool) -> None:
        """Take in a report; `has_row`: there is a row for the session that it names."""
        boot = status.cp_id, status.boot_id
        # The newest stands at the end.
        self._claims.pop(boot, None)
        if status.session_id is None or has_row:
            return
        if len(self._claims) >= CLAIMS_MAX:
            del self._claims[next(iter(self._claims))]
        self._claims[boot] = status.session_id, now_s

    def since(self, from_s: float) -> set[str]:
        """Return the sessions that were claimed from `from_s` on."""
        return {session_id for session_id, heard_s in self._claims.values() if heard_s > from_s}
