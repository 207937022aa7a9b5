"""Those whom --auth required would refuse, as --auth warn has seen them."""

from datetime import datetime, timedelta

import attrs

KEPT_MAX = 1_000
LATELY = timedelta(days=1)


@attrs.frozen(slots=True)
class Unready:
    """Somebody whom `required` would refuse, how often, and when last.

    `kind` is point, driver or caller; `name` is empty where it is not known.
    """

    kind: str
    name: str
    address: str
    why: str
    count: int
    last_at: datetime


class UnreadyBook:
    """Each of them once."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str, str], Unready] = {}

    def add(self, seen: Unready) -> None:
        """Count one; beyond KEPT_MAX others are not kept."""
        key = (seen.kind, seen.name, seen.address)
        before = self._kept.get(key)
        if before is not None:
            self._kept[key] = attrs.evolve(seen, count=before.count + 1)
        elif len(self._kept) < KEPT_MAX:
            self._kept[key] = seen

    def clear(self, address: str) -> None:
        """Forget those at an address from which a good token came now."""
        if self._kept:
            self._kept = {key: each for key, each in self._kept.items() if key[2] != address}

    def lately(self, wall: datetime) -> list[Unready]:
        """Return those of the last day."""
        self._kept = {key: seen for key, seen in self._kept.items() if wall - seen.last_at < LATELY}
        return [*self._kept.values()]
