"""The order of an engine's reads, saves and sends, with a disk that a test answers for."""

from collections.abc import Callable

from evd.core.effects import Note, Send
from evd.core.engine.core import Engine
from evd.core.engine.events import (
    BeaconRead,
    CommandRead,
    ConfirmationsRead,
    EngineDisk,
    EngineSettings,
    Event,
    Exit,
    Save,
    SaveConfirmed,
    SaveObeyed,
    SaveRun,
)
from evd.core.wire.messages import (
    SESSIONS,
    Beacon,
    Command,
    CpStatus,
    Message,
    Payload,
    SessionRecord,
    SessionRecorded,
    StartSupply,
    StopCp,
    StopSupply,
)
from evd.daemons.engine import steps
from evd.daemons.engine.steps import DiskFailed, Found, Kept, Read, Step, Steps, events_of
from evd.daemons.engine.steps import Outcome as DiskOutcome
from tests.sim.drive import drive
from tests.unit.engine.rig import CENTRAL, CP_ID, clock, record_of

BEACON = Beacon(central_id=CENTRAL, epoch=1, up_s=1.0)
START = StartSupply("s9", "r9", "driver-alice", "boot-1", 5.0)


def command(payload: Payload, cp_id: str = CP_ID) -> Command:
    """A command of the Central that is obeyed."""
    return Command(cp_id=cp_id, central_id=CENTRAL, payload=payload)


Answer = Callable[[Save | Read], DiskOutcome]


def all_well(step: Save | Read) -> DiskOutcome:
    """The answer of a disk that has every record."""
    if isinstance(step, Read):
        return Found(tuple(map(record_of, step.session_ids)))
    return Kept()


def carried_out(generator: Steps, answer: Answer = all_well) -> list[Step]:
    """The steps in their order; `answer` tells how each one that uses the disk ends."""
    done: list[Step] = []

    def carry_out(step: Step) -> DiskOutcome | None:
        done.append(step)
        return None if isinstance(step, Send | Note | Exit) else answer(step)

    drive(generator, carry_out)
    return done


def engine(disk: EngineDisk) -> Engine:
    """An engine that has started well."""
    settings = EngineSettings(cp_id=CP_ID, kw_rate=36.0, euro_rate=0.5)
    core = Engine(settings, "boot-1", disk, clock())
    carried_out(steps.start(core, clock))
    return core


def handled(core: Engine, event: Event, answer: Answer = all_well) -> list[Step]:
    """The steps that follow from `event`."""
    return carried_out(steps.handle(core, event, clock), answer)


def told(done: list[Step]) -> str:
    """All lines of the log as one text."""
    return "\n".join(step.text for step in done if isinstance(step, Note))


def said(done: list[Step]) -> list[Message]:
    """The messages in their order."""
    return [step.message for step in done if isinstance(step, Send)]


def test_nothing_is_said_of_a_session_before_its_save() -> None:
    """Proves: the outcome of a save is handed in before anything that depends on it is sent."""
    core = engine(EngineDisk(central_id=CENTRAL))
    done = handled(core, CommandRead(command(START)))
    saved = next(at for at, step in enumerate(done) if isinstance(step, SaveRun))
    running = [isinstance(each, CpStatus) and each.session_id == "s9" for each in said(done)]
    assert running[-1]
    assert not any(
        isinstance(step, Send) and step.message == said(done)[-1] for step in done[:saved]
    )


def test_a_failed_save_lets_nothing_follow() -> None:
    """Proves: of a session whose start could not be saved only its refusal is said."""
    core = engine(EngineDisk(central_id=CENTRAL))
    done = handled(core, CommandRead(command(START)), lambda _: DiskFailed("disk is full"))
    (record,) = (each for each in said(done) if isinstance(each, SessionRecord))
    assert (record.session_id, record.started_at) == ("s9", None)
    assert "disk is full" in record.reason
    assert not any(isinstance(each, CpStatus) and each.session_id for each in said(done))


def test_records_are_read_and_sent_and_lost_ones_told() -> None:
    """Proves: what the disk has goes out as it stands there; a record that is gone is told as lost
    and asked for no more."""
    core = engine(EngineDisk(CENTRAL, None, ("s1", "s2"), ()))
    done = handled(core, BeaconRead(BEACON), lambda _: Found((record_of("s1"),)))
    assert done[:2] == [Read(("s1", "s2")), Send(SESSIONS, CP_ID, record_of("s1"))]
    assert "Session s2: its record can't be read" in told(done)
    assert core.unconfirmed_count == 1


def test_records_that_were_let_go_are_forgotten() -> None:
    """Proves: a confirmed record that was deleted, being too old, is not promised any longer."""
    core = engine(EngineDisk(CENTRAL, None, ("s2",), ("s1",)))
    stop = CommandRead(command(StopSupply("s1", "r1", "driver-alice", "boot-1", "", True)))
    confirmations = ConfirmationsRead(CENTRAL, ("s2",))
    assert Read(("s1",)) in handled(core, stop)

    def answer(step: Save | Read) -> DiskOutcome:
        return all_well(step) if isinstance(step, Read) else Kept(("s1",))

    done = handled(core, confirmations, answer)
    assert SaveConfirmed(("s2",)) in done
    assert "can't be read" not in told(done)
    assert Read(("s1",)) not in handled(core, stop)


def test_a_failed_read_waits_for_the_saves() -> None:
    """Proves: a read that fails with a save ordered behind it is told after that save's outcome,
    so the start that came with it is not lost."""
    core = engine(EngineDisk(None, None, ("s1",), ()))

    def answer(step: Save | Read) -> DiskOutcome:
        return DiskFailed("I/O error") if isinstance(step, Read) else Kept()

    done = handled(core, CommandRead(command(START)), answer)
    disk = [type(step) for step in done if not isinstance(step, Send | Note)]
    assert (disk[0], disk[1], disk[-1]) == (SaveObeyed, Read, SaveRun)
    lines = told(done)
    assert 0 <= lines.find("Session s9 started") < lines.find("I/O error")


def test_beacons_come_before_commands() -> None:
    """Proves: of one batch the beacons are handed in first, another charging point's commands not
    at all, and neighbouring confirmations as one commit in their place."""
    stop = command(StopCp("x"))
    other = Command(cp_id=CP_ID, central_id="central-2", payload=SessionRecorded("d"))
    batch = [
        *(command(SessionRecorded(session_id)) for session_id in ("a", "b")),
        command(SessionRecorded("x"), cp_id="CP-002"),
        stop,
        BEACON,
        command(SessionRecorded("c")),
        other,
    ]
    assert list(events_of(batch, CP_ID)) == [
        BeaconRead(BEACON),
        ConfirmationsRead(CENTRAL, ("a", "b")),
        CommandRead(stop),
        ConfirmationsRead(CENTRAL, ("c",)),
        ConfirmationsRead("central-2", ("d",)),
    ]
