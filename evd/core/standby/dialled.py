"""The monitors that dialled a Central which stands by, counted over one round of the addresses."""

# A monitor has tried every address of its list by then, although most of them are dead.
ROUND_S = 8.0
# Names are forgotten where more than this would be kept: anybody may dial.
DIALLED_MAX = 20_000


class Dialled:
    """How many charging points' monitors came by within ROUND_S."""

    def __init__(self) -> None:
        # The newest is last.
        self._at_s: dict[str, float] = {}

    def note(self, cp_id: str, now_s: float) -> None:
        """Note that the monitor of a charging point has dialled."""
        self._at_s.pop(cp_id, None)
        self._at_s[cp_id] = now_s
        if len(self._at_s) > DIALLED_MAX:
            del self._at_s[next(iter(self._at_s))]

    def count(self, now_s: float) -> int:
        """Return how many there are."""
        for cp_id in [each for each, at_s in self._at_s.items() if now_s - at_s >= ROUND_S]:
            del self._at_s[cp_id]
        return len(self._at_s)
