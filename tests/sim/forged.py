"""Messages that no part of ours sends: those of a liar at the broker, and of a broken meter."""

import random
from datetime import datetime

from evd.core.central.rows import Session
from evd.core.wire.messages import Outcome, SessionRecord, Telemetry


def forged_record(row: Session, at: datetime, rng: random.Random) -> SessionRecord:
    """Return a record of a running session in the name of another request."""
    return SessionRecord(
        session_id=row.session_id,
        request_id="req-lie",
        cp_id=row.cp_id,
        driver_id=rng.choice([row.driver_id, "driver-lie"]),
        boot_id=row.boot_id or "boot-lie",
        started_at=rng.choice([None, at]),
        ended_at=at,
        kwh=0.05,
        euros=0.02,
        outcome=Outcome.COMPLETED,
        reason="lie",
        fault=False,
        bill=True,
    )


def broken_reading(row: Session, boot_id: str) -> Telemetry:
    """Return one reading of a running session that its meter can't have."""
    return Telemetry(
        cp_id=row.cp_id,
        boot_id=boot_id,
        session_id=row.session_id,
        driver_id=row.driver_id,
        kw=22.0,
        kwh=4294967.295,
        euros=0.0,
    )
