"""The session at hand: it runs, or it is over and its record is not on disk yet."""

import math

import attrs

from evd.core.effects import Level, Note, Now, Send
from evd.core.engine.events import Effect, EngineSettings, Run, SaveMeter, SaveRecord
from evd.core.engine.session import ENGINE_RESTARTED, SESSION_OVER, Ending, record, telemetry
from evd.core.wire import units
from evd.core.wire.messages import TELEMETRY, Outcome, SessionRecord

METER_UNSAVED_S = 5.0
METER_RETRY_S = 1.0
METER_FAILED = Ending(
    Outcome.FAILED, f"meter could not be saved for {METER_UNSAVED_S:.0f} s", fault=True
)

# A share of the interval: a tick that comes so much too early is the one that was meant.
_EARLY = 1e-6


@attrs.define
class Meter:
    """The meter of a running session; `run` has the newest reading that was saved.

    Energy is power times the monotonic time since the start, worked out from the whole span at
    once.  Times in monotonic seconds.
    """

    run: Run
    _begun_s: float
    _interval_s: float
    _session_s: float
    _due_at_s: float = attrs.field(init=False)
    _unsaved_since_s: float | None = attrs.field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self._due_at_s = self._begun_s + self._interval_s

    @property
    def wake_at_s(self) -> float:
        """The time of the next reading, or of the session's end."""
        return min(self._due_at_s, self._begun_s + self._session_s)

    def read(self, now_s: float) -> Run:
        """The run with its reading of now."""
        lasted_s = now_s - self._begun_s
        # A process that was stopped for weeks would else have a reading that no record can say.
        energy_mwh = min(units.energy_mwh(self.run.kw_rate, lasted_s), self.run.energy_mwh_max)
        return attrs.evolve(self.run, energy_mwh=energy_mwh, metered_s=lasted_s)

    def due(self, now_s: float) -> Ending | SaveMeter | None:
        """The end of the session, or its next reading, where one is due now."""
        unsaved_since_s = self._unsaved_since_s
        if unsaved_since_s is not None and now_s - unsaved_since_s > METER_UNSAVED_S:
            return METER_FAILED
        lasted_s = now_s - self._begun_s
        if lasted_s >= self._session_s:
            return SESSION_OVER
        if now_s < self._due_at_s:
            return None
        count = math.floor(lasted_s / self._interval_s + _EARLY) + 1
        self._due_at_s = self._begun_s + count * self._interval_s
        if unsaved_since_s is None:
            self._unsaved_since_s = now_s
        read = self.read(now_s)
        return SaveMeter(read.session_id, read.energy_mwh, read.metered_s)

    def on_saved(self, reading: SaveMeter) -> None:
        """Take the reading that is on disk now."""
        self._unsaved_since_s = None
        self.run = attrs.evolve(
            self.run, energy_mwh=reading.energy_mwh, metered_s=reading.metered_s
        )

    def on_save_failed(self, now_s: float) -> None:
        """Read again soon."""
        self._due_at_s = now_s + min(METER_RETRY_S, self._interval_s)

    def excuse(self, now_s: float) -> None:
        """Give the disk its whole time again: this process itself was away."""
        if self._unsaved_since_s is not None:
            self._unsaved_since_s = now_s


class Charging:
    """`meter` is that of the running session; `ended` is one that is over, and not saved yet."""

    def __init__(self, settings: EngineSettings, cut_off: Run | None) -> None:
        """`cut_off` is the session that the boot before left on disk: it is over."""
        self._settings = settings
        self.meter: Meter | None = None
        self.ended: SessionRecord | None = None
        if cut_off is not None:
            self.ended = record(cut_off, settings.cp_id, ENGINE_RESTARTED)

    @property
    def run(self) -> Run | None:
        """The running session."""
        return None if self.meter is None else self.meter.run

    def begin(self, run: Run, now: Now) -> Note:
        """Switch the car on: the session is on disk."""
        settings = self._settings
        self.meter = Meter(run, now.mono_s, settings.telemetry_interval_s, settings.session_seconds)
        return Note(Level.INFO, f"Session {run.session_id} started for {run.driver_id}")

    def end(self, ending: Ending, now: Now) -> list[Effect]:
        """Switch the car off now, save the record, and say it then; nothing where none runs."""
        if self.meter is None:
            return []
        self.ended = record(self.meter.read(now.mono_s), self._settings.cp_id, ending)
        self.meter = None
        text = f"Session {self.ended.session_id} {ending.outcome}, {self.ended.kwh:.3f} kWh"
        note = Note(Level.INFO, f"{text} ({ending.reason})" if ending.reason else text)
        return [note, SaveRecord(self.ended)]

    def on_meter_saved(self, reading: SaveMeter, seq: int | None) -> Send:
        """Tell the reading, with the `seq` of the newest report.

        Raises RuntimeError where no session runs.
        """
        if self.meter is None:
            raise RuntimeError("a meter was saved, but no session runs")
        self.meter.on_saved(reading)
        cp_id = self._settings.cp_id
        return Send(TELEMETRY, cp_id, telemetry(self.meter.run, cp_id, seq))
