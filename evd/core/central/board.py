"""The charging points as the feed shows them: which of them changed, and what they add up to."""

from collections import Counter
from collections.abc import Iterable
from operator import attrgetter

import attrs

from evd.core.central.rows import ShownState
from evd.core.central.views import CpView

# It changes with each frame of a monitor: alone it is no news.
_STEADY = attrgetter(
    *(field.name for field in attrs.fields(CpView) if field.name != "monitor_last_seen")
)


class Board:
    """How each charging point was last shown."""

    def __init__(self) -> None:
        self._shown: dict[str, CpView] = {}
        self._kw: dict[str, float] = {}
        self._states: Counter[ShownState] = Counter()

    @property
    def cp_ids(self) -> list[str]:
        """The charging points on it."""
        return [*self._shown]

    @property
    def kw(self) -> float:
        """The power of all that supply now."""
        return round(sum(self._kw.values(), 0.0), 3)

    @property
    def states(self) -> dict[str, int]:
        """How many charging points are in each state."""
        return {state.value: self._states[state] for state in ShownState}

    def show(self, views: Iterable[CpView]) -> list[CpView]:
        """Take these as they are now; return those that are new or changed."""
        changed = []
        for view in views:
            before = self._shown.get(view.cp_id)
            if before is not None and _STEADY(before) == _STEADY(view):
                continue
            self._drop(view.cp_id)
            self._shown[view.cp_id] = view
            self._states[view.state] += 1
            if view.telemetry is not None:
                self._kw[view.cp_id] = view.telemetry.kw
            changed.append(view)
        return changed

    def remove(self, cp_ids: Iterable[str]) -> list[str]:
        """Take these off it; return those that were there."""
        return [cp_id for cp_id in cp_ids if self._drop(cp_id)]

    def _drop(self, cp_id: str) -> bool:
        before = self._shown.pop(cp_id, None)
        if before is not None:
            self._states[before.state] -= 1
            self._kw.pop(cp_id, None)
        return before is not None
