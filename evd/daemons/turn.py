"""The turn of a daemon's loop that is under way, and whether it takes too long."""

import contextlib
from collections.abc import Iterator
from typing import Final

import trio

# A disk may take its time; after so long its program is better started anew.
STUCK_S: Final = 30.0


class Turn:
    """Used as `with turn.under_way():` around the work of one turn, not around the wait for it."""

    def __init__(self) -> None:
        self._began_s: float | None = None

    @contextlib.contextmanager
    def under_way(self) -> Iterator[None]:
        """Count the block as one turn."""
        self._began_s = trio.current_time()
        try:
            yield
        finally:
            self._began_s = None

    def took_s(self) -> float:
        """The time since the turn under way began; 0 between two of them."""
        return 0.0 if self._began_s is None else trio.current_time() - self._began_s

    def is_stuck(self) -> bool:
        """Whether the turn under way has no end."""
        return self.took_s() > STUCK_S
