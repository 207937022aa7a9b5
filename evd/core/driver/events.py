"""What a driver keeps, what can happen to it, and what it wants done.

Beacons and updates that it reads from Kafka are events as they are.
"""

from datetime import datetime
from enum import StrEnum

import attrs

from evd.core.effects import Note, Send
from evd.core.wire.fields import (
    choice_field,
    count_field,
    cp_id_field,
    flag_field,
    id_field,
    text_field,
    time_field,
)
from evd.core.wire.messages import Action, Beacon, DriverUpdate


@attrs.frozen(slots=True)
class OpenRequest:
    """A request that Central has not ended yet.

    `cp_id`: the one asked for, None for any.  `action`: what is asked of Central until it ends
    the request.  `answered`: Central was heard about it.  `given_up`: the driver was told FAILED
    already, and only Central has still to hear of it.  `session_id`, `session_cp_id` and
    `started_at` are known once there is a session; `started_at` is shown and decides nothing.
    """

    request_id: str = id_field()
    cp_id: str | None = cp_id_field(null=True)
    vehicle_id: str | None = id_field(null=True)
    action: Action = choice_field(Action)
    answered: bool = flag_field()
    given_up: bool = flag_field()
    session_id: str | None = id_field(optional=True)
    session_cp_id: str | None = cp_id_field(optional=True)
    started_at: datetime | None = time_field(optional=True)


@attrs.frozen(slots=True)
class DriverDisk:
    """All that a driver keeps over a restart.

    `finals`: the newest final statuses, oldest first.  `untold`: those of them that may not have
    been told.  `file_digest`, `file_line`: which requests file it is in, and the last line of it
    that was begun, 0 before the first.
    """

    requests: tuple[OpenRequest, ...]
    finals: tuple[DriverUpdate, ...]
    untold: tuple[DriverUpdate, ...]
    file_digest: str = text_field()
    file_line: int = count_field()


BLANK_DISK = DriverDisk((), (), (), "", 0)


@attrs.frozen(slots=True)
class Ticked:
    """A quarter of a second or so went by; `fresh_request_id` was never used before."""

    fresh_request_id: str


@attrs.frozen(slots=True)
class AskWanted:
    """The driver wants a charge; `cp_id` None: at any charging point."""

    request_id: str
    cp_id: str | None
    vehicle_id: str | None


@attrs.frozen(slots=True)
class CancelWanted:
    """The driver wants this request no longer, whether its session has begun or not."""

    request_id: str


@attrs.frozen(slots=True)
class StopWanted:
    """The driver has had enough."""

    session_id: str


@attrs.frozen(slots=True)
class StopAsked:
    """The process is to end: the last chance to save what need not be told again."""


@attrs.frozen(slots=True)
class SaveFailed:
    """The last step's Save may not have reached the disk, and nothing behind it was done."""


Wanted = AskWanted | CancelWanted | StopWanted
Event = Beacon | DriverUpdate | Ticked | Wanted | StopAsked | SaveFailed


@attrs.frozen(slots=True)
class Save:
    """Put this on disk, durably, in place of what is there."""

    disk: DriverDisk


@attrs.frozen(slots=True)
class Tell:
    """Tell the driver."""

    update: DriverUpdate


class Obstacle(StrEnum):
    """Why a wish is refused: no such id, it is over already, or there are too many open ones."""

    UNKNOWN = "UNKNOWN"
    OVER = "OVER"
    FULL = "FULL"


@attrs.frozen(slots=True)
class Refuse:
    """What was wanted just now can't be done; `reason` is a sentence."""

    obstacle: Obstacle
    reason: str


Effect = Save | Tell | Send | Refuse | Note


@attrs.frozen(slots=True)
class CurrentSession:
    """The session that runs for this driver: kW, kWh and euros are None before a first reading."""

    session_id: str
    cp_id: str
    kw: float | None
    kwh: float | None
    euros: float | None
    started_at: datetime
