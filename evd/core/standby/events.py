"""The events and effects of a lease: news of the database and of the others, and what follows."""

from collections.abc import Iterable

import attrs

from evd.core.effects import Level, Note

# A Central that stands by writes that it is there with each try, so several times within this.
THERE_S = 2.0
# A Central that handed over takes no lock for so long, if another may take it.
REST_S = 10.0

# How far the database has come: any two readings differ if the Central that serves did something
# between them.
Pulse = tuple[int, int, int]


@attrs.frozen(slots=True)
class Standby:
    """A Central that stands by, as it wrote of itself.

    `monitors`: how many have dialled it of late.  `seen_ago_s` and `released_ago_s` (None: never)
    are seconds by the database's clock since it wrote this, and since it handed over.
    """

    name: str
    address: str
    kafka_up: bool
    monitors: int
    seen_ago_s: float
    released_ago_s: float | None = None

    @property
    def is_there(self) -> bool:
        """Whether it wrote of late; a clock that was set back makes no ghost."""
        return abs(self.seen_ago_s) < THERE_S

    @property
    def reach(self) -> tuple[bool, int]:
        """How well it could serve: more is better."""
        return self.kafka_up, self.monitors

    @property
    def is_resting(self) -> bool:
        """Whether it handed over of late."""
        return self.released_ago_s is not None and 0 <= self.released_ago_s < REST_S


def may_take(name: str, standbys: Iterable[Standby]) -> bool:
    """Return whether the Central of this name may take the lock, if it is free.

    One that has just handed over leaves it to the others; where none of them could take it, its
    rest would only leave nobody.  Of the others the one that Kafka answers and that most monitors
    reach takes it: any other would only hand it on.
    """
    mine, others = None, []
    for each in standbys:
        if each.name == name:
            mine = each
        elif each.is_there and not each.is_resting:
            others.append(each)
    if mine is None:
        return True
    if mine.is_resting:
        return not others
    return not any(each.reach > mine.reach for each in others)


@attrs.frozen(slots=True)
class Ticked:
    """A part of a second went by.

    `kafka_up`: it was heard in the last seconds.  `monitors`: how many are registered here now.
    """

    kafka_up: bool
    monitors: int


@attrs.frozen(slots=True)
class Tried:
    """The answer to a Try that was sent at the monotonic `asked_s`.

    `is_granted`: the lock was free and is ours now; the epoch was raised with it.  `pulse` and
    `is_released` are from before that.  `is_released`: the last holder wrote that it had stopped.
    `holder`: the address of the one that serves, or that served last.
    """

    asked_s: float
    is_granted: bool
    pulse: Pulse
    is_released: bool
    holder: str = ""


@attrs.frozen(slots=True)
class Answered:
    """The database answered, in the session that holds the lock, a question sent at `asked_s`.

    `standbys`: the others, where they were asked for.
    """

    asked_s: float
    standbys: tuple[Standby, ...] | None = None


@attrs.frozen(slots=True)
class SessionLost:
    """The database session is over, and with it the lock; `reason` in words."""

    reason: str


@attrs.frozen(slots=True)
class MonitorDialled:
    """A monitor asked to be registered while this Central stands by."""

    cp_id: str


@attrs.frozen(slots=True)
class HandOverAsked:
    """The operator wants another Central to serve."""


@attrs.frozen(slots=True)
class CameToRest:
    """All that was decided so far is stored and said."""


@attrs.frozen(slots=True)
class Released:
    """The lock is given back."""


Event = (
    Ticked | Tried | Answered | SessionLost | MonitorDialled | HandOverAsked | CameToRest | Released
)


@attrs.frozen(slots=True)
class Try:
    """Write how this Central is, and take the lock if it is free, in one database session.

    Where there is no session, open one.  `ends_silent`: the session of a holder that fell silent in
    the middle of a statement is to be ended first.
    """

    kafka_up: bool
    monitors: int
    ends_silent: bool = False


@attrs.frozen(slots=True)
class Ask:
    """Ask the database one question, in the session that holds the lock, and raise its pulse."""


@attrs.frozen(slots=True)
class Serve:
    """Load all that is served from the database, and serve."""


@attrs.frozen(slots=True)
class Release:
    """Give the lock back, and write whether the next one need not wait.

    It need not where nothing that was said here can come later: nothing is left to be sent.
    """


@attrs.frozen(slots=True)
class End:
    """Throw away all that was loaded and all that is not sent, close everything, and stand by.

    `level` tells one that handed over as it should from one that lost the lock.
    """

    reason: str
    level: Level = Level.ERROR


Effect = Try | Ask | Serve | Release | End | Note
