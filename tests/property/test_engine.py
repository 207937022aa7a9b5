"""An engine under any events: commands, other Centrals, failing disks, kills anywhere."""

from collections.abc import Callable
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from evd.core.engine.events import SaveRecord, SaveRun, SendRecords, StopAsked
from evd.core.wire import units
from evd.core.wire.messages import (
    CpState,
    CpStatus,
    ResumeCp,
    SessionRecord,
    SessionRecorded,
    Shutdown,
    StopCp,
    Telemetry,
)
from tests.unit.engine.rig import CENTRAL, Crashed, Rig, messages, records

CENTRALS = st.sampled_from([CENTRAL, CENTRAL, CENTRAL, "central-2"])
SESSION_IDS = st.integers(min_value=0, max_value=11).map("s{}".format)
SECONDS = st.sampled_from([0.1, 0.3, 1.0, 2.5, 6.0, 11.0])
BUFFER_SIZE = 3


class AnyLife(RuleBasedStateMachine):
    """Steps in any order; after each one all that was ever said is checked."""

    def __init__(self) -> None:
        super().__init__()
        self.rig = Rig(session_seconds=5.0, session_buffer_size=BUFFER_SIZE, retry_interval_s=8.0)
        self.looked_at = 0
        self.begun: dict[str, float] = {}
        self.ended: dict[str, SessionRecord] = {}
        self.refused: dict[str, SessionRecord] = {}
        self.seqs: dict[str, int] = {}
        # Central decides once for which life of the engine a session is.
        self.boots: dict[str, str] = {}
        self.told_kwh: dict[str, float] = {}

    @initialize(heard=st.booleans())
    def hear(self, heard: bool) -> None:
        if heard:
            self.rig.ready()

    def step(self, what: Callable[..., Any], *arguments: object) -> bool:
        """Do it, and start an engine that ended or was killed again; whether it lived."""
        try:
            what(*arguments)
            if not self.rig.exited:
                return True
            self.rig.boot()
        except Crashed:
            self.rig.fuse = None
            self.rig.boot()
        return False

    @rule(seconds=SECONDS)
    def time_passes(self, seconds: float) -> None:
        self.step(self.rig.wait, seconds)

    @rule(seconds=SECONDS)
    def engine_is_stopped_for_a_while(self, seconds: float) -> None:
        self.rig.now_s += seconds
        self.step(self.rig.tick)

    @rule(shift_s=st.sampled_from([-3600.0, 0.0, 3600.0]))
    def clock_is_stepped(self, shift_s: float) -> None:
        self.rig.wall_shift_s = shift_s

    @rule(session_id=SESSION_IDS, good_for_s=st.sampled_from([-1.0, 0.0, 1.0, 5.0]))
    def start(self, session_id: str, good_for_s: float) -> None:
        """A START for this boot is always answered."""
        until_up_s = max(0.0, self.rig.up_s + good_for_s)
        boot_id = self.boots.setdefault(session_id, self.rig.boot_id)
        before = len(self.rig.effects)
        if self.step(self.rig.start, session_id, boot_id, until_up_s):
            self.must_be_answered(session_id, before)

    @rule(session_id=SESSION_IDS, bill=st.booleans())
    def stop(self, session_id: str, bill: bool) -> None:
        """A STOP for this boot is always answered."""
        boot_id = self.boots.setdefault(session_id, self.rig.boot_id)
        before = len(self.rig.effects)
        if self.step(self.rig.stop, session_id, boot_id, bill):
            self.must_be_answered(session_id, before)

    def must_be_answered(self, session_id: str, before: int) -> None:
        """The answer is a report, a record, or a record that only waits for the disk."""
        rig, effects = self.rig, self.rig.effects[before:]
        if rig.disk.central_id != CENTRAL or self.boots[session_id] != rig.boot_id:
            return
        reported = any(each.session_id == session_id for each in messages(effects, CpStatus))
        recorded = any(each.session_id == session_id for each in records(effects))
        read = any(
            session_id in each.session_ids for each in effects if isinstance(each, SendRecords)
        )
        waits = any(
            isinstance(each, SaveRecord) and each.record.session_id == session_id
            for each in rig.effects
        )
        assert reported or recorded or read or (waits and session_id not in rig.disk.records)

    @rule(session_id=SESSION_IDS)
    def old_start(self, session_id: str) -> None:
        before = len(self.rig.disk.saves)
        self.step(self.rig.start, session_id, "boot-0")
        assert not any(isinstance(save, SaveRun) for save in self.rig.disk.saves[before:])

    @rule(session_id=SESSION_IDS)
    def recorded(self, session_id: str) -> None:
        if session_id in self.ended:
            self.step(self.rig.recorded, session_id)

    @rule(central_id=CENTRALS, epoch=st.integers(min_value=1, max_value=3))
    def beacon(self, central_id: str, epoch: int) -> None:
        self.step(self.rig.beacon, central_id, epoch)

    @rule(central_id=CENTRALS)
    def ping(self, central_id: str) -> None:
        self.step(self.rig.ping, central_id)

    @rule(payload=st.sampled_from([StopCp("repairs"), ResumeCp(), ResumeCp()]))
    def operator(self, payload: StopCp | ResumeCp) -> None:
        self.step(self.rig.command, payload)

    @rule(connected=st.booleans())
    def broker(self, connected: bool) -> None:
        self.rig.connected = connected

    @rule(up=st.booleans())
    def central(self, up: bool) -> None:
        self.rig.central_up = up

    @rule(failing=st.sampled_from(["", "", "disk is full"]))
    def disk(self, failing: str) -> None:
        self.rig.disk.failing = failing

    @rule(save_s=st.sampled_from([0.0, 0.0, 0.5, 2.4]))
    def slow_disk(self, save_s: float) -> None:
        self.rig.save_s = save_s

    @rule(by_central=st.booleans())
    def stop_engine(self, by_central: bool) -> None:
        if by_central:
            self.step(self.rig.command, Shutdown(self.rig.boot_id))
        else:
            self.step(self.rig.do, StopAsked())

    @precondition(lambda self: self.rig.fuse is None)
    @rule(effects=st.integers(min_value=0, max_value=6))
    def kill(self, effects: int) -> None:
        self.rig.fuse = effects

    @invariant()
    def what_was_said_is_true(self) -> None:
        """The effects since the last look follow from what is on disk."""
        new, self.looked_at = self.rig.effects[self.looked_at :], len(self.rig.effects)
        for save in self.rig.disk.saves:
            if isinstance(save, SaveRecord):
                known = self.ended.setdefault(save.record.session_id, save.record)
                assert known == save.record, "a session ended twice, differently"
        for record in records(new):
            if record.started_at is None:
                first = self.refused.setdefault(record.session_id, record)
                assert first.boot_id != record.boot_id or first == record
                continue
            assert self.rig.disk.records[record.session_id] == record, "said before it was saved"
        for report in messages(new, CpStatus):
            assert report.seq > self.seqs.get(report.boot_id, 0)
            self.seqs[report.boot_id] = report.seq
            assert (report.state is CpState.SUPPLYING) == (report.session_id is not None)
        for told in messages(new, Telemetry):
            assert told.kwh >= self.told_kwh.get(told.session_id, 0.0), "a meter ran backwards"
            self.told_kwh[told.session_id] = told.kwh

    @invariant()
    def no_session_begins_twice_or_is_lost(self) -> None:
        """Each session that began is one run or one record, and has no less than was told."""
        disk = self.rig.disk
        begun = [save.run.session_id for save in disk.saves if isinstance(save, SaveRun)]
        assert len(begun) == len(set(begun)), "begun twice"
        for session_id, kwh in self.told_kwh.items():
            if session_id in disk.records:
                assert disk.records[session_id].kwh >= kwh, "less than was told"
            else:
                assert disk.run is not None
                assert disk.run.session_id == session_id
                assert units.kwh_from_mwh(disk.run.energy_mwh) >= kwh, "told before it was saved"

    @invariant()
    def the_buffer_is_bounded(self) -> None:
        """Nothing begins beyond it, but for what a new Central unconfirms."""
        rig = self.rig
        waiting = len(rig.disk.records) - len(rig.disk.confirmed)
        if not rig.disk.failing and rig.fuse is None and rig.disk.run is None:
            assert rig.report.unconfirmed == waiting
        if rig.shows(CpState.ACTIVATED) and rig.fuse is None:
            assert waiting < BUFFER_SIZE

    def teardown(self) -> None:
        """The engine is well again when all else is, and all that it keeps gets confirmed."""
        rig = self.rig
        rig.fuse, rig.disk.failing, rig.save_s, rig.connected = None, "", 0.0, True
        rig.central_up = True
        rig.boot()
        rig.ready()
        before = len(rig.effects)
        rig.wait(12)
        obeyed = rig.disk.central_id or CENTRAL
        for session_id in {*rig.disk.records} - rig.disk.confirmed:
            sent = [each for each in rig.effects[before:] if isinstance(each, SendRecords)]
            assert any(session_id in each.session_ids for each in sent)
            rig.command(SessionRecorded(session_id), obeyed)
        rig.tick()
        assert rig.shows(CpState.ACTIVATED)
        assert (rig.report.unconfirmed, rig.disk.run) == (0, None)
        self.what_was_said_is_true()
        self.no_session_begins_twice_or_is_lost()


TestAnyLife = AnyLife.TestCase
TestAnyLife.settings = settings(max_examples=60, stateful_step_count=40)
