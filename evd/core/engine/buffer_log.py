"""The log's lines about sessions while Central is away: one for a session that goes on, one for
each that is put aside, and one when Central has it."""

from collections.abc import Iterable

from evd.core.effects import Level, Note


class BufferLog:
    """The sessions that ended in this boot and are not confirmed, out of a buffer of `size`."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._quiet: dict[str, None] = {}
        self._told: set[str] = set()
        self._charges_on = False

    def ended(self, session_id: str) -> None:
        """A session was saved, and waits."""
        self._quiet[session_id] = None

    def tick(self, is_central_away: bool, unconfirmed: int, supplying: bool) -> list[Note]:
        """While Central is away: what there is to say of the session that runs, once, and of each
        that waits, `unconfirmed` in all."""
        if not is_central_away:
            self._charges_on = False
            return []
        notes = []
        if supplying and not self._charges_on:
            self._charges_on = True
            text = "Charging session continues: Central is unavailable"
            notes.append(Note(Level.INFO, text))
        for count, session_id in enumerate(self._quiet, unconfirmed - len(self._quiet) + 1):
            notes.append(Note(Level.WARNING, "Central unavailable, buffering session"))
            text = f"Session {session_id} buffered ({count}/{self._size})"
            notes.append(Note(Level.INFO, text))
            self._told.add(session_id)
        self._quiet.clear()
        return notes

    def confirmed(self, session_ids: Iterable[str]) -> list[Note]:
        """Central has them: a line for each that was said to wait."""
        told = [session_id for session_id in session_ids if session_id in self._told]
        self.forget(session_ids)
        return [Note(Level.INFO, f"Session {session_id} flushed") for session_id in told]

    def forget(self, session_ids: Iterable[str]) -> None:
        """They wait no longer."""
        for session_id in session_ids:
            self._quiet.pop(session_id, None)
            self._told.discard(session_id)
