"""The effects that all cores share, in the order in which they must happen: saves before sends.

A shell carries them out one by one.  Where a save fails, nothing that stands behind it is said.
"""

from datetime import datetime
from enum import StrEnum

import attrs

from evd.core.wire.messages import Message


class Level(StrEnum):
    """How much a line of the log matters."""

    DEBUG = "DEBUG"
    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"


@attrs.frozen(slots=True)
class Send:
    """Produce `message` on Kafka's `topic` under `key`; that it arrives is not promised."""

    topic: str
    key: str
    message: Message


@attrs.frozen(slots=True)
class Note:
    """A line for the operator's log.

    Of the lines `about` one thing, whose cause may come a thousand times a second, the shell
    bounds how many are written a minute; empty: each is written.  `is_one`: one is enough, since
    all of them say the same.
    """

    level: Level
    text: str
    about: str = ""
    is_one: bool = False


@attrs.frozen(slots=True)
class Now:
    """The two clocks of one moment.

    `mono_s`, in seconds from any start, decides; `wall`, in UTC, is only written down.
    """

    mono_s: float
    wall: datetime
