"""Central as its HTTP shows it: what it uses, and what it says of a fleet."""

import re
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final, TypeVar

import attrs
import trio

from evd.adapters.http.central_client import Central, CentralAway, CentralRefused
from evd.core.fleet.report import Looked

# Faults of a fleet that are read at the most, page by page.
PAGE_ROWS: Final = 1_000
PAGES_MAX: Final = 50
_FAILED: Final = (CentralAway, CentralRefused)
_USE: Final = re.compile(r"^process_(cpu_seconds_total|resident_memory_bytes) (\S+)$", re.MULTILINE)

T = TypeVar("T")


@attrs.frozen
class Mark:
    """Central at one moment: its processor time, its memory, and its newest fault."""

    at_s: float
    cpu_s: float | None
    resident_mb: float | None
    fault_id: int | None


class Look:
    """The questions to Central.  What can't be asked is told to `tell`, and is None."""

    def __init__(
        self, central: Central, cp_ids: Sequence[str], tell: Callable[[str], None]
    ) -> None:
        self._central = central
        self._cp_ids = frozenset(cp_ids)
        self._tell = tell
        # The longest time that a whole list took to come.
        self._list_ms = 0.0

    async def mark(self) -> Mark:
        """Take the measure of Central now."""
        use = await self._ask(self._use) or {}
        faults = await self._ask(partial(self._central.faults, limit=1))
        fault_id = None if faults is None else int(faults[0]["id"]) if faults else 0
        resident = use.get("resident_memory_bytes")
        return Mark(
            trio.current_time(),
            use.get("cpu_seconds_total"),
            None if resident is None else round(resident / 1e6, 1),
            fault_id,
        )

    async def since(self, mark: Mark) -> Looked:
        """Return what there is to tell since then."""
        after = await self.mark()
        cores = None
        if after.cpu_s is not None and mark.cpu_s is not None and after.cpu_s >= mark.cpu_s:
            cores = round((after.cpu_s - mark.cpu_s) / (after.at_s - mark.at_s), 2)
        not_on = await self.list_all()
        kinds = None
        if mark.fault_id is not None:
            kinds = await self._ask(partial(self._faults_since, mark.fault_id))
        return Looked(
            cores=cores,
            resident_mb=after.resident_mb,
            disconnected=None if kinds is None else kinds.count("DISCONNECTED"),
            broken=None if kinds is None else kinds.count("FAULT"),
            not_on=not_on,
            list_ms=self._list_ms or None,
        )

    def _use(self) -> dict[str, float]:
        return {name: float(value) for name, value in _USE.findall(self._central.metrics())}

    async def list_all(self) -> int | None:
        """Have all charging points listed; how many of the fleet are not ON."""
        return await self._ask(self._listed)

    def _listed(self) -> int:
        began_s = time.monotonic()
        points = self._central.charging_points()["charging_points"]
        self._list_ms = max(self._list_ms, round(1000 * (time.monotonic() - began_s), 1))
        return len(self._cp_ids - {each["cp_id"] for each in points if each["state"] == "ON"})

    def _faults_since(self, fault_id: int) -> list[str]:
        """The kinds of the fleet's faults after that one, the newest first."""
        kinds: list[str] = []
        before: int | None = None
        for _ in range(PAGES_MAX):
            page: list[dict[str, Any]] = self._central.faults(limit=PAGE_ROWS, before=before)
            for row in page:
                before = row["id"]
                if row["id"] <= fault_id:
                    return kinds
                if row["cp_id"] in self._cp_ids:
                    kinds.append(row["event_type"])
            if len(page) < PAGE_ROWS:
                break
        return kinds

    async def _ask(self, question: Callable[[], T]) -> T | None:
        try:
            return await trio.to_thread.run_sync(question, abandon_on_cancel=True)
        except _FAILED as error:
            self._tell(f"Not asked of Central: {error}")
            return None
