"""The bounds on how often somebody may ask, by a clock that the test moves."""

import contextlib

import pytest

from evd.adapters.http.access.rates import KEYS_MAX, Buckets, Rate, rates_of
from evd.adapters.http.refused import Refused
from evd.core.access.roles import Auth


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


def taken(buckets: Buckets, key: str, tries: int) -> int:
    """How many of so many requests are let through."""
    count = 0
    for _ in range(tries):
        try:
            buckets.take(key)
        except Refused as refused:
            assert refused.status == 429
            assert refused.headers["Retry-After"] != "0"
        else:
            count += 1
    return count


def test_a_bucket_has_its_burst_and_fills_in_time() -> None:
    """Proves: so many may come at once, then so many a second, and each caller has its own."""
    clock = Clock()
    buckets = Buckets(Rate(5.0, 20), clock)
    assert taken(buckets, "a", 30) == 20
    assert taken(buckets, "b", 1) == 1
    clock.now_s += 2.0
    assert taken(buckets, "a", 30) == 10
    clock.now_s += 3_600.0
    assert taken(buckets, "a", 30) == 20


def test_no_crowd_fills_the_memory() -> None:
    """Proves: of endless addresses only so many are kept, those that asked last."""
    clock = Clock()
    buckets = Buckets(Rate(1.0, 1), clock)
    for number in range(KEYS_MAX + 10):
        assert taken(buckets, f"address-{number}", 1) == 1
    assert len(buckets) == KEYS_MAX
    assert taken(buckets, f"address-{KEYS_MAX + 9}", 1) == 0


@pytest.mark.parametrize(
    ("auth", "a_second", "calls", "looks"),
    [
        (Auth.OFF, None, 1000, 1000),
        (Auth.OFF, 1.0, 200, 20),
        (Auth.REQUIRED, None, 200, 20),
        (Auth.WARN, 0.0, 1000, 20),
    ],
)
def test_the_flags_stand_for_bounds(
    auth: Auth, a_second: float | None, calls: int, looks: int
) -> None:
    """Proves: without logins there are no bounds unless somebody asks for them, and those who watch
    have their own."""
    rates = rates_of(a_second, 200, auth, Clock())
    for path, most in (("/cp", calls), ("/health", looks)):
        count = 0
        for number in range(1000):
            try:
                # One sender may have all of these addresses.
                rates.take_of_address(f"2001:db8::{number:x}", path)
            except Refused:
                continue
            count += 1
        assert count == most, path


def test_files_of_pages_have_a_bound_of_their_own() -> None:
    """Proves: who opens a page, of some fifty files, after another one is refused none of them, and
    has as many calls left; but the files have an end too."""
    rates = rates_of(50.0, 100, Auth.REQUIRED, Clock())

    def let_through(path: str, tries: int) -> int:
        count = 0
        for _ in range(tries):
            with contextlib.suppress(Refused):
                rates.take_of_address("192.0.2.1", path)
                rates.take_of_holder("ada", path)
                count += 1
        return count

    assert let_through("/web/central/main.js", 2_000) == 1_000
    assert let_through("/cp", 200) == 100
