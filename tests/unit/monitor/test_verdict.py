"""The monitor's verdict: what counts as a failure, and when it becomes KO and OK."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evd.core.monitor.verdict import INTERVAL_SHARE, Verdict
from evd.core.wire.control import EngineStatus, KoCause

OK, KO = EngineStatus.OK, EngineStatus.KO
REFUSED, TIMEOUT = KoCause.REFUSED, KoCause.TIMEOUT


def healthy() -> Verdict:
    """Return a verdict of OK with the defaults: three failures, 1 s."""
    verdict = Verdict()
    verdict.on_pass()
    return verdict


def test_three_failures_in_a_row_are_ko_and_one_success_is_ok() -> None:
    """Proves: the verdict falls slowly and recovers at once, and says when it changed."""
    verdict = healthy()
    told = []
    for second in range(5):
        verdict.on_failure(TIMEOUT, float(second))
        told.append((verdict.status, verdict.changed))
    assert told == [(OK, False), (OK, False), (KO, True), (KO, False), (KO, False)]
    verdict.on_pass()
    assert (verdict.status, verdict.cause, verdict.changed) == (OK, None, True)
    verdict.on_pass()
    assert (verdict.status, verdict.changed) == (OK, False)


def test_many_failures_within_an_interval_count_once() -> None:
    """Proves: a port that refuses five times a second is not KO sooner than a silent one."""
    verdict = healthy()
    ko_at = 0.0
    while verdict.status is OK:
        ko_at += 0.2
        verdict.on_failure(REFUSED, ko_at)
    ko_at -= 0.2
    assert 2 * INTERVAL_SHARE <= ko_at <= 2.2


def test_checks_a_little_less_than_an_interval_apart_all_count() -> None:
    """Proves: a loop that wakes some milliseconds late and then in time does not slow detection."""
    verdict = healthy()
    for now in (0.030, 1.001, 2.0):
        verdict.on_failure(TIMEOUT, now)
    assert verdict.status is KO


def test_after_a_stop_of_our_own_the_failures_are_forgotten_but_not_the_verdict() -> None:
    """Proves: a monitor that was itself stopped blames no engine for it."""
    verdict = healthy()
    verdict.on_failure(TIMEOUT, 0.0)
    verdict.on_failure(TIMEOUT, 1.0)
    verdict.on_stall()
    verdict.on_failure(TIMEOUT, 60.0)
    assert verdict.status is OK
    verdict.on_failure(TIMEOUT, 61.0)
    verdict.on_failure(TIMEOUT, 62.0)
    verdict.on_stall()
    assert verdict.status is KO
    verdict.on_failure(REFUSED, 90.0)
    assert (verdict.status, verdict.cause) == (KO, REFUSED)


def test_a_threshold_of_none_is_refused() -> None:
    """Proves: an engine can't be KO without a failed check."""
    with pytest.raises(ValueError, match="failure_threshold"):
        Verdict(failure_threshold=0)


CHECKS = st.lists(
    st.tuples(st.floats(0, 3), st.sampled_from([None, None, REFUSED, TIMEOUT, TIMEOUT]))
)


@given(st.integers(1, 4), st.floats(0.1, 2), CHECKS)
def test_ko_if_and_only_if_the_last_counted_checks_failed(
    threshold: int, interval_s: float, checks: list[tuple[float, KoCause | None]]
) -> None:
    """Proves: the rule, over any course of checks: neither OK nor KO is said of an engine that was
    never asked, failures that are not in a row never make KO, and an engine that hung and was then
    ended is seen to be gone at once, by the newest cause."""
    verdict = Verdict(threshold, interval_s)
    now, counted_s = 0.0, float("-inf")
    counted: list[KoCause | None] = []
    for pause_s, cause in checks:
        now += pause_s
        before = verdict.status
        if cause is None:
            verdict.on_pass()
            counted.append(None)
        else:
            verdict.on_failure(cause, now)
            if now - counted_s >= INTERVAL_SHARE * interval_s:
                counted_s = now
                counted.append(cause)
        failed = len(counted) >= threshold and None not in counted[-threshold:]
        assert (verdict.status is KO) == failed
        assert (verdict.status is OK) == (not failed and None in counted)
        assert verdict.cause == (cause if failed else None)
        assert verdict.changed == (verdict.status is not before)
