"""The charging points for a driver's open pages: one question to Central for all pages, in turns.

Central is asked while a page is open, and rests in between the longer the more charging points it
shows: about 2 s for ten, 22 s for 10,000.  So an open page costs Central the same few milliseconds
a second in each network, and a driver whose page is closed costs it nothing.
"""

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import attrs
import trio

from evd.adapters.http.central_client import CentralAway, CentralRefused
from evd.adapters.http.driver_central import DriverCentral, PointShown

REST_S: Final = 2.0
REST_A_POINT_S: Final = 0.002
# The pages of many drivers, opened in one moment, part by this share of the rest.
SPREAD: Final = 0.2


@attrs.frozen
class PointsSeen:
    """The charging points as Central showed them last, None before its first answer.

    `lost`: why Central can't be asked now, None while it can.
    """

    points: Sequence[PointShown] | None
    lost: str | None


class PointsWatch:
    """Central's charging points, kept up to date while somebody watches."""

    def __init__(self, central: DriverCentral) -> None:
        self._central = central
        self._watching = 0
        self._wanted = trio.Event()
        self._hurry = trio.Event()
        self.seen = PointsSeen(None, None)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Have Central asked inside the block."""
        self._watching += 1
        self._wanted.set()
        try:
            yield
        finally:
            self._watching -= 1
            if not self._watching:
                self._wanted = trio.Event()

    def hurry(self) -> None:
        """Ask Central before its turn: a charging point has just changed."""
        self._hurry.set()

    async def run(self) -> None:
        """Ask while somebody watches, until cancelled."""
        while True:
            await self._wanted.wait()
            self._hurry = trio.Event()
            await self._ask()
            count = len(self.seen.points or ())
            await trio.sleep(REST_S * random.uniform(1 - SPREAD, 1 + SPREAD))
            with trio.move_on_after(count * REST_A_POINT_S):
                await self._hurry.wait()

    async def _ask(self) -> None:
        try:
            self.seen = PointsSeen(await self._central.charging_points(), None)
        except (CentralAway, CentralRefused) as error:
            self.seen = PointsSeen(self._central.known_points, str(error))
