"""The course of a session, as a driver keeps it."""

import itertools

import pytest

from evd.core.driver.course import POINTS_MAX, Course
from evd.core.driver.events import CancelWanted
from evd.core.wire.messages import RequestStatus
from tests.unit.driver.scene import asking, progress, update


@pytest.mark.parametrize("readings", [1, 119, 120, 121, 1000, 36_000])
def test_a_course_stays_small_and_whole(readings: int) -> None:
    """Proves: however long a session is, its course has few points, from the first reading to the
    newest, and in between no gap that is much wider than the others."""
    course = Course()
    for second in range(1, readings + 1):
        course.add(float(second), 22.0, second / 1000)
    times = [seconds for seconds, _, _ in course.points]
    assert len(times) == len(set(times)) <= POINTS_MAX
    assert (times[0], times[-1]) == (1.0, float(readings))
    assert len(times) >= min(readings, POINTS_MAX // 2)
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert max(gaps, default=0.0) <= max(1.0, 3 * readings / POINTS_MAX)


def test_a_reading_that_is_not_later_is_no_point() -> None:
    """Proves: a clock that was set back draws no line backwards."""
    course = Course()
    for seconds in (1.0, 5.0, 5.0, 3.0, 6.0):
        course.add(seconds, 22.0, 0.1)
    assert [seconds for seconds, _, _ in course.points] == [1.0, 5.0, 6.0]


def test_the_current_session_has_its_course() -> None:
    """Proves: each reading of the running session is a point, in seconds since its start."""
    scene = asking()
    scene.tell(update("req-a", RequestStatus.ACCEPTED, session_id="session-1"))
    for kwh in (0.01, 0.02):
        scene.mono_s += 2.0
        scene.tell(progress("req-a", kwh))
    current = scene.current()
    assert current is not None
    assert current.curve == ((2.0, 22.0, 0.01), (4.0, 22.0, 0.02))


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
