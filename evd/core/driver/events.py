"""The events that a driver's core understands, and the effects that it returns.

Beacons and updates that it reads from Kafka are events as they are.
"""

from datetime import datetime
from enum import StrEnum

import attrs

from evd.core.curve import CurvePoint
from evd.core.driver.disk import DriverDisk
from evd.core.effects import Note, Send
from evd.core.machine import Saved, SaveFailed
from evd.core.wire.messages import Beacon, DriverUpdate, RequestStatus


@attrs.frozen(slots=True)
class Ticked:
    """Time went by: `Driver.wake_at_s` is reached; `fresh_request_id` was never used before."""

    fresh_request_id: str


@attrs.frozen(slots=True)
class AskWanted:
    """The driver wants a charge; `cp_id` None: at any charging point."""

    request_id: str
    cp_id: str | None
    vehicle_id: str | None


@attrs.frozen(slots=True)
class CancelWanted:
    """The driver wants to end this request, whether its session has begun or not."""

    request_id: str


@attrs.frozen(slots=True)
class StopWanted:
    """The driver wants to end this session."""

    session_id: str


@attrs.frozen(slots=True)
class StopAsked:
    """The process is to end: one last save, so that no final status is told again."""


Wanted = AskWanted | CancelWanted | StopWanted
Event = Beacon | DriverUpdate | Ticked | Wanted | StopAsked | Saved | SaveFailed


@attrs.frozen(slots=True)
class Save:
    """Replace the content of the disk, durably."""

    disk: DriverDisk


@attrs.frozen(slots=True)
class Tell:
    """Show an update to the driver."""

    update: DriverUpdate


class Obstacle(StrEnum):
    """The reason of a refusal: no such id, it has ended already, or too many are open."""

    UNKNOWN = "UNKNOWN"
    OVER = "OVER"
    FULL = "FULL"


@attrs.frozen(slots=True)
class Refuse:
    """Refuse the wish that is being handled; `reason` is a sentence for its sender."""

    obstacle: Obstacle
    reason: str


Effect = Save | Tell | Send | Refuse | Note


@attrs.frozen(slots=True)
class CurrentSession:
    """The session that runs for this driver: kW, kWh and euros are None before a first reading.

    `curve`: at most 120 points of seconds since the start, kW and kWh, as far as they were heard
    here.
    """

    session_id: str
    cp_id: str
    kw: float | None
    kwh: float | None
    euros: float | None
    started_at: datetime
    curve: tuple[CurvePoint, ...] = ()


@attrs.frozen(slots=True)
class CurrentRequest:
    """A request of this driver's that has not ended.

    `cp_id`: the charging point of its session, else the one asked for, None for any.  `status` is
    PENDING before the first answer.  `reason` tells of trouble on the way, if there is any.
    `ending`: it is being cancelled, or its session stopped.
    """

    request_id: str
    cp_id: str | None
    session_id: str | None
    status: RequestStatus
    reason: str
    ending: bool
