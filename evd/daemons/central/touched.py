"""Which charging points the feed has to look at: those that something has touched, and in turn all
others, as time changes them too."""

import trio

from evd.core.central.core import Central
from evd.core.central.views import CpView
from evd.daemons.clock import now

# Each is looked at within so long, also untouched.
SWEEP_S = 1.0
SWEEP_STEPS = 4
# Others may run after so many.
POINTS_AT_ONCE = 200


class Touched:
    """The charging points that were touched since the last look."""

    def __init__(self) -> None:
        self._core: Central | None = None
        self._touched: set[str] = set()
        # Those of which a view is made though nothing has changed: it tells when their monitor
        # was heard.
        self._stored: set[str] = set()
        self._outlines: dict[str, tuple[object, ...]] = {}
        self._unswept: list[str] = []
        self._swept_s = 0.0

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

    async def look(self, core: Central, shown: list[str]) -> tuple[list[CpView], list[str]]:
        """Return the views of those that may have changed, and which of `shown` are gone.

        With another core it is all of them.
        """
        if core is not self._core:
            self.forget()
            self._core = core
            self._touched = {*core.cp_ids, *shown}
        else:
            self._sweep(core)
        touched, stored = self._touched, self._stored
        self._touched, self._stored = set(), set()
        views, gone = [], []
        moment = now()
        for number, cp_id in enumerate(touched):
            if number % POINTS_AT_ONCE == POINTS_AT_ONCE - 1:
                await trio.lowlevel.checkpoint()
                moment = now()
            if not core.knows(cp_id):
                self._outlines.pop(cp_id, None)
                gone.append(cp_id)
                continue
            outline = core.outline(cp_id, moment)
            if cp_id in stored or self._outlines.get(cp_id) != outline:
                self._outlines[cp_id] = outline
                views.append(core.view(cp_id, moment))
        return views, gone

    def _sweep(self, core: Central) -> None:
        if trio.current_time() - self._swept_s < SWEEP_S / SWEEP_STEPS:
            return
        self._swept_s = trio.current_time()
        self._unswept = self._unswept or core.cp_ids
        step = len(core.cp_ids) // SWEEP_STEPS + 1
        self._touched.update(self._unswept[:step])
        self._unswept = self._unswept[step:]
