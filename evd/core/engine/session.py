"""The words of a session: its telemetry, and the record that it ends in."""

from datetime import datetime

import attrs

from evd.core.engine.events import Run
from evd.core.wire import units
from evd.core.wire.fields import clip
from evd.core.wire.messages import Outcome, SessionRecord, StartSupply, StopSupply, Telemetry


@attrs.frozen(slots=True)
class Ending:
    """Why and how a session ends; `fault`: by the charging point's own failure."""

    outcome: Outcome
    reason: str
    fault: bool = False
    bill: bool = True


SESSION_OVER = Ending(Outcome.COMPLETED, "")
ENGINE_STOPPED = Ending(Outcome.FAILED, "engine stopped")
ENGINE_RESTARTED = Ending(Outcome.FAILED, "engine restarted", fault=True)


def telemetry(run: Run, cp_id: str, seq: int | None) -> Telemetry:
    """The newest saved reading of a running session; `seq` of the engine's newest report."""
    return Telemetry(
        cp_id=cp_id,
        boot_id=run.boot_id,
        session_id=run.session_id,
        driver_id=run.driver_id,
        seq=seq,
        kw=run.kw_rate,
        kwh=units.kwh_from_mwh(run.energy_mwh),
        euros=units.running_euros(run.energy_mwh, run.euro_rate),
    )


def record(run: Run, cp_id: str, ending: Ending) -> SessionRecord:
    """The record of a session that ends with the run's reading."""
    return SessionRecord(
        session_id=run.session_id,
        request_id=run.request_id,
        cp_id=cp_id,
        driver_id=run.driver_id,
        boot_id=run.boot_id,
        started_at=run.started_at,
        ended_at=run.at(run.metered_s),
        kwh=units.kwh_from_mwh(run.energy_mwh),
        euros=units.euros_from_cents(units.bill_cents(run.energy_mwh, run.euro_rate)),
        outcome=ending.outcome,
        reason=ending.reason,
        fault=ending.fault,
        bill=ending.bill,
    )


def refusal(
    order: StartSupply | StopSupply | Run, cp_id: str, boot_id: str, reason: str, at: datetime
) -> SessionRecord:
    """The record of a session that never began here, and never will."""
    return SessionRecord(
        session_id=order.session_id,
        request_id=order.request_id,
        cp_id=cp_id,
        driver_id=order.driver_id,
        boot_id=boot_id,
        started_at=None,
        ended_at=at,
        kwh=0.0,
        euros=0.0,
        outcome=Outcome.FAILED,
        reason=clip(reason),
        fault=False,
        bill=order.bill if isinstance(order, StopSupply) else True,
    )
