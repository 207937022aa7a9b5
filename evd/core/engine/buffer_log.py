"""The log's lines about sessions while Central is away: one for a session that goes on, one for
each that is put aside, and one when Central has it."""

from evd.core.effects import Level, Note


class BufferLog:
    """The sessions that ended in this boot and are not confirmed, out of a buffer of `size`."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._untold: dict[str, None] = {}
        self._told: set[str] = set()
        self._is_running_told = False

    def on_ended(self, session_id: str) -> None:
        """Remember a session that was saved, and waits."""
        self._untold[session_id] = None

    def tick(self, is_central_away: bool, unconfirmed: int, supplying: bool) -> list[Note]:
        """While Central is away: a line for the session that runs, once, and lines for each that
        waits, `unconfirmed` in all."""
        if not is_central_away:
            self._is_running_told = False
            return []
        notes = []
        if supplying and not self._is_running_told:
            self._is_running_told = True
            text = "Charging session continues: Central is unavailable"
            notes.append(Note(Level.INFO, text))
        for count, session_id in enumerate(self._untold, unconfirmed - len(self._untold) + 1):
            notes.append(Note(Level.WARNING, "Central unavailable, buffering session"))
            text = f"Session {session_id} buffered ({count}/{self._size})"
            notes.append(Note(Level.INFO, text))
            self._told.add(session_id)
        self._untold.clear()
        return notes

    def on_confirmed(self, session_ids: tuple[str, ...]) -> list[Note]:
        """A line for each that was said to wait: Central has it."""
        told = [session_id for session_id in session_ids if session_id in self._told]
        self.forget(session_ids)
        return [Note(Level.INFO, f"Session {session_id} flushed") for session_id in told]

    def forget(self, session_ids: tuple[str, ...]) -> None:
        """Drop sessions that wait no longer."""
        for session_id in session_ids:
            self._untold.pop(session_id, None)
            self._told.discard(session_id)
