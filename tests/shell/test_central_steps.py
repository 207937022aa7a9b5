"""The order of Central's work, which its daemon and the simulation share."""

from datetime import UTC, datetime
from itertools import groupby

import attrs

from evd.adapters.store import StoreFailed
from evd.core.central.core import Central
from evd.core.central.events import Answer, CentralSettings, Event, MonitorSaid
from evd.core.central.rows import Image, Meta, Request
from evd.core.effects import Now, Send
from evd.core.wire.control import EngineStatus, Register
from evd.core.wire.messages import Action, DriverRequest, RequestStatus, Seen
from evd.core.wire.partition import Mark
from evd.daemons.central.steps import (
    AT_ONCE_MAX,
    Commit,
    CommitMarks,
    Found,
    LookUp,
    Rest,
    Step,
    batch_steps,
)
from evd.daemons.drive import drive

NOW = Now(100.0, datetime(2026, 1, 31, 12, tzinfo=UTC))
REGISTER = MonitorSaid(
    1, Register("CP-001", 1, EngineStatus.OK, None, instance_id="m-1", kw_rate=22.0, euro_rate=0.3)
)
OLD = Request("req-1", "driver-1", None, None, RequestStatus.DENIED, "old", NOW.wall, NOW.wall)
AGAIN = DriverRequest("req-1", "driver-1", None, Action.START, seen=Seen("central-1", 1, 99.0))
MARKS = {("evd.requests", 0): Mark("log", 8)}


async def steps_of(*events: Event, failing: type[Step] | None = None) -> list[Step]:
    """The steps that a new Central takes for `events`, until one of the type `failing`."""
    core = Central(CentralSettings(), Image(Meta("central-1", 1)), NOW)
    taken: list[Step] = []

    async def carry_out(step: Step) -> Found | None:
        if failing is not None and isinstance(step, failing):
            raise StoreFailed("full")
        taken.append(step)
        return ([OLD], []) if isinstance(step, LookUp) else None

    def yes(_: int) -> bool:
        return True

    steps = batch_steps(*(core, events, MARKS), is_waiting=yes, is_open=yes, now=lambda: NOW)
    try:
        await drive(steps, carry_out)
    except StoreFailed:
        assert failing is not None
    return taken


async def test_nothing_is_said_before_it_is_stored_and_offsets_come_last() -> None:
    """Proves: all rows of a batch are one commit, then Central speaks, then Kafka may forget."""
    taken = await steps_of(REGISTER, AGAIN)
    kinds = [type(step) for step in taken]
    assert kinds[:2] == [LookUp, Commit]
    assert kinds[-1] is CommitMarks
    assert kinds.count(Commit) == 1
    assert Answer in kinds[2:]


async def test_a_stored_answer_is_looked_up_and_repeated() -> None:
    """Proves: a request that was decided before gets its answer again, whatever is in memory."""
    said = [step.message for step in await steps_of(REGISTER, AGAIN) if isinstance(step, Send)]
    assert [getattr(each, "status", None) for each in said].count(RequestStatus.DENIED) == 1


async def test_nothing_behind_a_failed_commit_is_done() -> None:
    """Proves: when the database fails nobody hears of the batch, and Kafka keeps its messages."""
    assert [type(step) for step in await steps_of(REGISTER, AGAIN, failing=Commit)] == [LookUp]


async def test_many_events_hold_up_nobody() -> None:
    """Proves: others have their turn after each hundred events and after each hundred things that
    are said; it is one commit all the same, with nothing said before it."""
    count = 5 * AT_ONCE_MAX
    registers = [
        attrs.evolve(
            REGISTER,
            connection=number,
            message=attrs.evolve(REGISTER.message, cp_id=f"CP-{number}"),
        )
        for number in range(count)
    ]
    kinds = [type(step) for step in await steps_of(*registers)]
    stored = kinds.index(Commit)
    assert set(kinds[:stored]) == {Rest}
    assert stored == count // AT_ONCE_MAX
    said = kinds[stored + 1 : -1]
    assert kinds.count(Commit) == 1
    assert said.count(Answer) == count
    longest = max(
        len(list(run)) for is_rest, run in groupby(said, lambda kind: kind is Rest) if not is_rest
    )
    assert longest <= AT_ONCE_MAX
