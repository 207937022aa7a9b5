"""The end of what may hang is bounded."""

import threading
import time

from evd.adapters.ending import end_soon

SOON_S = 0.05
LATE_S = 5.0


def test_an_end_that_hangs_is_left_to_itself() -> None:
    """Proves: a stop within 5 s does not hang on a library's own end."""
    may_end, began_s = threading.Event(), time.monotonic()
    assert not end_soon(may_end.wait, SOON_S)
    assert time.monotonic() - began_s < LATE_S
    may_end.set()


def test_an_end_in_time_is_waited_for() -> None:
    """Proves: what ends as it should has ended afterwards."""
    ended: list[bool] = []
    assert end_soon(lambda: ended.append(True), LATE_S)
    assert ended == [True]
