"""The network over each minute: its mean power, and how its charging points stand at the end."""

from collections import Counter

from evd.core.central.events import Effect, Save
from evd.core.central.rows import NetworkSnapshot, ShownState
from evd.core.central.state import State

MINUTE_S = 60.0
SAMPLE_S = 5.0


class Minutes:
    """The samples of the present minute."""

    def __init__(self, state: State) -> None:
        self.state = state
        self._began_s = self._sampled_s = state.now.mono_s
        self._samples_kw: list[float] = []

    def tick(self) -> list[Effect]:
        """Measure the network's power, and write down each minute."""
        state, now_s = self.state, self.state.now.mono_s
        if state.in_grace:
            # Nobody knows yet how it stands: monitors are on their way back.
            self._began_s = self._sampled_s = now_s
            return []
        if now_s - self._sampled_s < SAMPLE_S:
            return []
        self._sampled_s = now_s
        # The others supply nothing.
        supplied = [point.supplied_kw(now_s) for point in state.index.supplying()]
        self._samples_kw.append(sum(kw or 0.0 for kw in supplied))
        if now_s - self._began_s < MINUTE_S:
            return []
        mean_kw = sum(self._samples_kw) / len(self._samples_kw)
        self._began_s, self._samples_kw = now_s, []
        stand = Counter(point.shown for point in state.points.values())
        return [
            Save(
                NetworkSnapshot(
                    timestamp=state.now.wall,
                    kw=round(mean_kw, 3),
                    charging_count=sum(bool(kw) for kw in supplied),
                    on_count=stand[ShownState.ON],
                    broken_count=stand[ShownState.BROKEN],
                    disconnected_count=stand[ShownState.DISCONNECTED],
                )
            )
        ]
