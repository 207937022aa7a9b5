"""Which charging points the feed has to look at: those that something has touched, and those that
Central's core has changed since."""

from collections.abc import Callable, Iterable

from evd.adapters.pieces import POINTS_AT_ONCE, by_pieces
from evd.core.central.core import Central
from evd.core.central.views import CpView
from evd.daemons.clock import now


class Touched:
    """The charging points that were touched since the last look."""

    def __init__(self) -> None:
        self._core: Central | None = None
        self._touched: set[str] = set()
        # Those of which a view is made though nothing has changed: it tells when their monitor
        # was heard.
        self._stored: set[str] = set()
        self._outlines: dict[str, tuple[object, ...]] = {}

    def add(self, cp_id: str, *, is_stored: bool = False) -> None:
        """Look at this one next, and where it is stored make a view of it in any case."""
        self._touched.add(cp_id)
        if is_stored:
            self._stored.add(cp_id)

    def forget(self) -> None:
        """Look at nothing until it is all looked at again."""
        self._core = None
        for kept in (self._touched, self._stored, self._outlines):
            kept.clear()

    async def look(
        self, core: Central, shown: Callable[[], Iterable[str]]
    ) -> tuple[list[CpView], list[str]]:
        """Return the views of those that may have changed, and which of `shown` are gone.

        With another core it is all of them.
        """
        changed = core.take_changed()
        if core is not self._core:
            self.forget()
            self._core = core
            self._touched = {*core.cp_ids, *shown()}
        else:
            self._touched.update(changed)
        touched, stored = self._touched, self._stored
        self._touched, self._stored = set(), set()
        views, gone = [], []
        async for piece in by_pieces([*touched], POINTS_AT_ONCE):
            moment = now()
            for cp_id in piece:
                if not core.knows(cp_id):
                    self._outlines.pop(cp_id, None)
                    gone.append(cp_id)
                    continue
                outline = core.outline(cp_id, moment)
                if cp_id in stored or self._outlines.get(cp_id) != outline:
                    self._outlines[cp_id] = outline
                    views.append(core.view(cp_id, moment))
        return views, gone
