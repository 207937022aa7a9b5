"""The order of what a driver does: save, then tell, then send; and when an update counts as read.

Nothing here waits: the daemon carries the steps out with Trio, the simulation on its own clock.
"""

from collections.abc import Callable, Generator, Iterable, Sequence

import attrs

from evd.core.driver.core import Driver
from evd.core.driver.events import Effect, Refuse, Save, Tell
from evd.core.effects import Note, Now, Send
from evd.core.machine import Saved, SaveFailed
from evd.core.wire.messages import Beacon, DriverUpdate, Message

SAVE_RETRY_S = 1.0

Step = Save | Tell | Send | Note
SaveOutcome = Saved | SaveFailed


def in_order(
    core: Driver, effects: Iterable[Effect], now: Callable[[], Now]
) -> Generator[Step, SaveOutcome | None, Refuse | SaveFailed | None]:
    """Yield the effects one by one; a Save must be answered with its outcome.

    After a save that failed, the core takes its step back and nothing behind the save is done: the
    SaveFailed is returned.  Otherwise a refusal is returned, if there is one.
    """
    refused: Refuse | None = None
    for effect in effects:
        match effect:
            case Refuse():
                refused = effect
            case Save():
                # A save without an outcome was not made.
                outcome = (yield effect) or SaveFailed("nobody has saved it")
                core.handle(outcome, now())
                if isinstance(outcome, SaveFailed):
                    return outcome
            case Tell() | Send() | Note():
                yield effect
    return refused


@attrs.frozen(slots=True)
class Take:
    """Hand `update` to the core and carry out its effects; answered with whether it was saved."""

    update: DriverUpdate


@attrs.frozen(slots=True)
class Rest:
    """Wait before the next step."""

    duration_s: float


@attrs.frozen(slots=True)
class MarkRead:
    """Tell Kafka that the whole batch was read."""


def read_updates(
    driver_id: str, messages: Iterable[Message]
) -> Generator[Take | Rest | MarkRead, bool | None, None]:
    """Take the updates of one batch that are for `driver_id`; others' updates share its partition.

    Central does not repeat every update.  So an update that can't be saved is tried again, and
    the batch is marked as read only after the last one was saved.
    """
    for update in messages:
        if isinstance(update, DriverUpdate) and update.driver_id == driver_id:
            while not (yield Take(update)):
                yield Rest(SAVE_RETRY_S)
    yield MarkRead()


def newest_beacon(messages: Sequence[Message]) -> Beacon | None:
    """Return the last beacon of a batch: the ones before it say nothing more."""
    return next((each for each in reversed(messages) if isinstance(each, Beacon)), None)
