"""A database of Central, made by its own store: running sessions, and a long history."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import trio

from evd.adapters.store import open_store
from evd.core.central.ledger import session_id_for
from evd.core.central.rows import ChargingPoint, Session, SessionStatus

POINTS = 100
GROUP = 5_000
_BEGAN = datetime(2025, 1, 1, tzinfo=UTC)


def running(number: int) -> Session:
    """The running session of one charging point."""
    request_id = f"req-running-{number}"
    return Session(
        session_id=session_id_for(request_id),
        request_id=request_id,
        cp_id=f"CP-{number:03}",
        driver_id=f"driver-{number}",
        start_time=datetime.now(UTC),
        boot_id=f"boot-{number}",
        confirmed=True,
    )


def _ended(number: int) -> Session:
    return Session(
        session_id=f"session-{number:032x}",
        request_id=f"req-{number:032x}",
        cp_id=f"CP-{number % POINTS:03}",
        driver_id=f"driver-{number % 5000}",
        start_time=_BEGAN + timedelta(seconds=number),
        end_time=_BEGAN + timedelta(seconds=number + 10),
        energy_mwh=61_111,
        cost_cents=2,
        status=SessionStatus.COMPLETED,
        confirmed=True,
        settled=True,
    )


async def _fill(state_dir: Path, ended: int) -> None:
    async with open_store(f"sqlite:///{state_dir / 'central.db'}", state_dir) as store:
        for first in range(0, ended, GROUP):
            await store.commit([_ended(n) for n in range(first, min(first + GROUP, ended))])
        points = [ChargingPoint(f"CP-{n:03}", 22.0, 0.30) for n in range(POINTS)]
        await store.commit([*points, *(running(n) for n in range(POINTS))])


def fill(state_dir: Path, ended: int) -> None:
    """Make a database with `ended` sessions of the past and POINTS running ones."""
    state_dir.mkdir(parents=True, exist_ok=True)
    trio.run(_fill, state_dir, ended)
