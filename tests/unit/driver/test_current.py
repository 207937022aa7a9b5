"""The running session's curve and the open requests, as a driver knows them."""

from datetime import timedelta

import attrs

from evd.core.driver.events import CancelWanted
from evd.core.wire.messages import RequestStatus
from tests.unit.driver.scene import asking, progress, update


def test_the_current_session_has_its_curve() -> None:
    """Proves: each reading of the running session is a point, in seconds since its start."""
    scene = asking()
    scene.tell(update("req-a", RequestStatus.ACCEPTED, session_id="session-1"))
    for kwh in (0.01, 0.02):
        scene.mono_s += 2.0
        scene.tell(progress("req-a", kwh))
    current = scene.current()
    assert current is not None
    assert current.curve == ((2.0, 22.0, 0.01), (4.0, 22.0, 0.02))


def test_a_clock_that_was_set_bends_no_curve() -> None:
    """Proves: the wall clock says once how long a session has run; after that it may be set."""
    scene = asking()
    scene.tell(update("req-a", RequestStatus.ACCEPTED, session_id="session-1"))
    for hours, kwh in ((0, 0.01), (5, 0.02), (-5, 0.03)):
        scene.mono_s += 2.0
        told_at = scene.now.wall + timedelta(hours=hours)
        scene.tell(attrs.evolve(progress("req-a", kwh), ts=told_at))
    current = scene.current()
    assert current is not None
    assert [seconds for seconds, _, _ in current.curve] == [2.0, 4.0, 6.0]


def test_open_requests_are_shown_until_they_have_ended() -> None:
    """Proves: a driver sees each request that it can end, how far it is, and that it is ending;
    one that was given up is over for it."""
    scene = asking(None)
    (request,) = scene.driver.requests
    assert (request.status, request.cp_id, request.ending) == ("PENDING", None, False)
    scene.tell(update("req-a", RequestStatus.ACCEPTED, session_id="session-1"))
    trouble = "the charging point does not answer"
    scene.tell(update("req-a", RequestStatus.IN_PROGRESS, trouble, session_id="session-1"))
    (request,) = scene.driver.requests
    assert (request.status, request.cp_id) == ("IN_PROGRESS", "CP-001")
    assert (request.reason, request.session_id) == (trouble, "session-1")
    scene.tell(CancelWanted("req-a"))
    assert scene.driver.requests[0].ending
    scene.tell(update("req-a", RequestStatus.COMPLETED))
    assert scene.driver.requests == ()
    scene = asking()
    scene.tick(10.0)
    assert scene.disk.requests[0].given_up
    assert scene.driver.requests == ()
