"""How long a Central took to answer, as a played fleet measures it."""

from evd.core.fleet.figures import READINGS_MAX, Figures
from evd.core.fleet.waits import Spread
from evd.core.wire.messages import DriverUpdate, RequestStatus


def update(status: RequestStatus, number: int = 0, kwh: float | None = None) -> DriverUpdate:
    """News of one request."""
    return DriverUpdate(
        f"req-{number}", "driver-1", "CP-001", status, "", session_id=f"session-{number}", kwh=kwh
    )


def test_each_wait_is_measured_once() -> None:
    """Proves: a request counts from its first asking to its first ACCEPTED, a reading to its
    IN_PROGRESS, and a final status by its kind."""
    figures = Figures()
    figures.on_asked("req-0", 10.0)
    figures.on_asked("req-0", 11.0)
    assert figures.unanswered == 1
    figures.on_update(update(RequestStatus.ACCEPTED), 12.0)
    figures.on_update(update(RequestStatus.ACCEPTED), 15.0)
    figures.on_metered("session-0", 0.5, 20.0)
    for at_s in (20.25, 29.0):
        figures.on_update(update(RequestStatus.IN_PROGRESS, kwh=0.5), at_s)
    figures.on_update(update(RequestStatus.COMPLETED, kwh=0.5), 30.0)
    assert figures.accepted == Spread(1, 2000.0, 2000.0, 2000.0)
    assert figures.shown == Spread(1, 250.0, 250.0, 250.0)
    assert figures.finals == {RequestStatus.COMPLETED: 1}
    assert figures.unanswered == 0


def test_what_was_before_the_measurement_is_forgotten() -> None:
    """Proves: only waits that end after `begin` count, those that began before it too."""
    figures = Figures()
    figures.on_asked("req-0", 0.0)
    figures.on_asked("req-1", 0.0)
    figures.on_update(update(RequestStatus.ACCEPTED), 5.0)
    figures.begin()
    assert figures.accepted is None
    figures.on_update(update(RequestStatus.ACCEPTED, 1), 1.0)
    assert figures.accepted == Spread(1, 1000.0, 1000.0, 1000.0)


def test_readings_that_are_never_shown_fill_no_memory() -> None:
    """Proves: of readings without an answer only the newest are kept."""
    figures = Figures()
    for number in range(READINGS_MAX + 1):
        figures.on_metered("session-0", float(number), 0.0)
    figures.on_update(update(RequestStatus.IN_PROGRESS, kwh=0.0), 1.0)
    assert figures.shown is None
    figures.on_update(update(RequestStatus.IN_PROGRESS, kwh=1.0), 1.0)
    assert figures.shown == Spread(1, 1000.0, 1000.0, 1000.0)
