"""The driver that stands behind a dashboard, and an update as the dashboard shows it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

import attrs

from evd.core.driver.events import CurrentRequest, CurrentSession, Refuse, Wanted
from evd.core.wire.messages import DriverUpdate


class DriverService(Protocol):
    """The driver, as its dashboard sees it."""

    @property
    def driver_id(self) -> str:
        """The driver that this dashboard belongs to."""

    def unhealthy(self) -> str | None:
        """Why the driver can't be served now; None while it can."""

    def current(self) -> CurrentSession | None:
        """The running session, as far as the driver knows."""

    def requests(self) -> Sequence[CurrentRequest]:
        """The requests that have not ended, oldest first."""

    def notifications(self) -> Sequence[DriverUpdate]:
        """The updates that the driver was told, newest first."""

    def news(self, since: int = 0) -> tuple[int, Sequence[DriverUpdate]]:
        """The updates but mere readings, newest first: those after the first `since` of them.

        Returned with the number that there has been.
        """

    async def ask(self, cp_id: str | None, vehicle_id: str | None) -> str | Refuse:
        """Ask for a charge; its request_id.  Raises NotSaved."""

    async def want(self, event: Wanted) -> Refuse | None:
        """Have the driver decide; None where it will be done.  Raises NotSaved."""


@attrs.frozen
class Notification:
    """An update that the driver was told, and when; null where there is nothing to say."""

    request_id: str
    driver_id: str
    cp_id: str | None
    session_id: str | None
    status: str
    reason: str
    kw: float | None
    kwh: float | None
    euros: float | None
    ts: datetime | None
