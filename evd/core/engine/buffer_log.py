"""The log's lines about sessions that wait for Central: each once when it is put aside, and once
when Central has it."""

from collections.abc import Iterable

from evd.core.effects import Level, Note


class BufferLog:
    """The sessions that ended in this boot and are not confirmed, out of a buffer of `size`."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._quiet: dict[str, None] = {}
        self._told: set[str] = set()

    def ended(self, session_id: str) -> None:
        """A session was saved, and waits."""
        self._quiet[session_id] = None

    def central_silent(self, unconfirmed: int) -> list[Note]:
        """Central is away: what there is to say of each that waits, `unconfirmed` in all."""
        notes = []
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
