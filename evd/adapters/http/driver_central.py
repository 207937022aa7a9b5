"""Central as a driver's page asks it: each call in a thread, each charging point as drivers see it.

While Central is away the page shows what it showed last, OFFLINE.
"""

import contextlib
from collections.abc import Callable, Sequence
from enum import StrEnum
from http import HTTPStatus
from typing import Any, Final, TypeVar

import attrs
import trio

from evd.adapters.http.central_client import (
    Central,
    CentralAway,
    CentralRefused,
    list_in,
    ways_of,
)
from evd.adapters.http.client import NotSent, Way
from evd.adapters.http.turn import Turn
from evd.core.wire.fields import (
    FieldError,
    check_cp_id,
    check_euro_rate,
    check_kw_rate,
    check_location,
)

ANSWER_S_MAX: Final = 3.0
CALLS_MAX: Final = 8

# Refusals of this program and its token, and not of what its driver asked for.
_OF_THIS_PROGRAM: Final = {
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.MISDIRECTED_REQUEST,
    HTTPStatus.TOO_MANY_REQUESTS,
}

T = TypeVar("T")


class Occupancy(StrEnum):
    """The use that a charging point is to a driver."""

    FREE = "FREE"
    OCCUPIED = "OCCUPIED"
    OFFLINE = "OFFLINE"


@attrs.frozen
class PointShown:
    """A charging point as a driver sees it; the rates, in kW and euros a kWh, may be unknown."""

    cp_id: str
    status: Occupancy
    kw_rate: float | None
    euro_rate: float | None
    location: str | None


class DriverCentral:
    """The Central at `way`, a URL such as http://host:8000 or more; it need not be there.

    Several ways are tried in turn, first the one that served last, which `keep` is told; `first` is
    its URL where it is known.  All calls only read, so each may be asked again; one that was given
    up goes on in its thread, and its answer is not read.

    Each call raises CentralAway, also for a 5xx and where Central does not take this program's
    token or the name in the URL, and CentralRefused for another 4xx of Central's.
    """

    def __init__(
        self,
        way: str | Way | Sequence[Way],
        answer_s_max: float = ANSWER_S_MAX,
        *,
        first: str | None = None,
        keep: Callable[[str], None] = lambda _: None,
    ) -> None:
        centrals = [Central(each, answer_s_max) for each in ways_of(way)]
        urls = [each.url for each in centrals]
        self._centrals = Turn(centrals, urls.index(first) if first in urls else 0)
        self._keep = keep
        self._answer_s_max = answer_s_max
        # A Central that drips its answer holds a thread for longer than its caller waits.
        self._threads = trio.CapacityLimiter(CALLS_MAX)
        self._known: dict[str, PointShown] = {}

    @property
    def known_points(self) -> list[PointShown]:
        """Those that Central showed last, all OFFLINE: nobody can tell more while it is away."""
        return [attrs.evolve(each, status=Occupancy.OFFLINE) for each in self._known.values()]

    async def charging_points(self) -> list[PointShown]:
        """All of them."""
        points = await self._ask(lambda central: _points(central.charging_points()))
        self._known = {point.cp_id: point for point in points}
        return points

    async def charging_point(self, cp_id: str) -> PointShown | None:
        """One of them, None for one that Central does not know."""
        fields = await self._ask(lambda central: central.charging_point(cp_id))
        if fields is None:
            return None
        self._known[cp_id] = _point(fields)
        return self._known[cp_id]

    async def sessions(self, **filters: str | int | None) -> list[dict[str, Any]]:
        """Sessions, newest first; a filter that is None does not count."""
        return await self._ask(lambda central: central.sessions(**filters))

    async def session(self, session_id: str) -> dict[str, Any] | None:
        """One session and its curve, None for one that Central does not know."""
        return await self._ask(lambda central: central.find_session(session_id))

    async def _ask(self, call: Callable[[Central], T]) -> T:
        said: list[str] = []
        for central in self._centrals:
            try:
                found = await self._ask_one(central, call)
            except CentralAway as error:
                if not self._centrals.several:
                    raise
                said.append(f"{central.url}: {error}")
            else:
                self._on_served(central)
                return found
        raise CentralAway("; ".join(said))

    def _on_served(self, central: Central) -> None:
        self._centrals.served(central)
        if self._centrals.several:
            self._keep(central.url)

    async def _ask_one(self, central: Central, call: Callable[[Central], T]) -> T:
        try:
            with trio.fail_after(self._answer_s_max):
                return await trio.to_thread.run_sync(
                    call, central, abandon_on_cancel=True, limiter=self._threads
                )
        except trio.TooSlowError:
            raise CentralAway(
                f"Central at {central.url} does not answer within {self._answer_s_max:g} s"
            ) from None
        except NotSent as error:
            raise CentralAway(str(error)) from None
        except CentralRefused as error:
            if error.status < 500 and error.status not in _OF_THIS_PROGRAM:
                raise
            raise CentralAway(f"Central can't answer now: {error}") from None


def _points(answer: dict[str, Any]) -> list[PointShown]:
    return [_point(each) for each in list_in(answer, "charging_points")]


def _point(fields: dict[str, Any]) -> PointShown:
    try:
        return PointShown(
            check_cp_id(fields.get("cp_id")),
            _occupancy(fields),
            _known(fields, "kw_rate", check_kw_rate),
            _known(fields, "euro_rate", check_euro_rate),
            _known(fields, "location", check_location),
        )
    except FieldError as error:
        raise CentralAway(f"Central's answer is wrong: {error}") from None


def _known(fields: dict[str, Any], name: str, check: Any) -> Any:
    """The value, None where it is out of bounds: one charging point must not hide the others."""
    with contextlib.suppress(FieldError):
        return check(fields.get(name), name)
    return None


def _occupancy(fields: dict[str, Any]) -> Occupancy:
    if fields.get("available") is True:
        return Occupancy.FREE
    if fields.get("state") == "ON" and fields.get("current_session") is not None:
        return Occupancy.OCCUPIED
    return Occupancy.OFFLINE
