"""The bounds of wrong passwords."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evd.core.access.throttle import (
    COUNTS_MAX,
    OF_ADDRESS_MAX,
    OF_NAME_AT_ADDRESS_MAX,
    OF_NAME_MAX,
    Throttle,
    neighbourhood,
)


def tries(throttle: Throttle, name: str, address: str, count: int, now_s: float = 0.0) -> int:
    """Try so often; how many were let through."""
    answers = [throttle.begin(name, address, is_known=False, now_s=now_s) for _ in range(count)]
    return answers.count(None)


def test_each_bound_holds() -> None:
    """Proves: five for a name from one address, twenty for an address, fifty for a name."""
    throttle = Throttle()
    assert tries(throttle, "vera", "10.0.0.1", 9) == OF_NAME_AT_ADDRESS_MAX
    of_others = sum(tries(throttle, f"user-{n}", "10.0.0.1", 9) for n in range(9))
    assert of_others == OF_ADDRESS_MAX - OF_NAME_AT_ADDRESS_MAX
    of_vera = sum(tries(throttle, "vera", f"10.0.1.{n}", 9) for n in range(99))
    assert of_vera == OF_NAME_MAX - OF_NAME_AT_ADDRESS_MAX


def test_a_minute_later_it_goes_on() -> None:
    """Proves: Retry-After is true: before it nothing goes, after it one does."""
    throttle = Throttle()
    tries(throttle, "vera", "10.0.0.1", 5)
    wait_s = throttle.begin("vera", "10.0.0.1", is_known=False, now_s=20.0)
    assert wait_s == pytest.approx(40.0)
    assert tries(throttle, "vera", "10.0.0.1", 1, 59.9) == 0
    assert tries(throttle, "vera", "10.0.0.1", 1, 60.0) == 1


def test_nobody_locks_a_user_out_where_it_is_known() -> None:
    """Proves: however many others guess a name, its user gets in from its own address; and from
    there it may guess no more often than anybody."""
    throttle = Throttle()
    for number in range(99):
        tries(throttle, "vera", f"10.0.1.{number}", 9)
    tries(throttle, "others", "10.0.0.1", 99)
    answers = [throttle.begin("vera", "10.0.0.1", is_known=True, now_s=0.0) for _ in range(9)]
    assert answers.count(None) == OF_NAME_AT_ADDRESS_MAX


def test_a_flood_of_names_is_bounded() -> None:
    """Proves: names and addresses without end take no memory without end, and whoever is known is
    served meanwhile."""
    throttle = Throttle()
    for number in range(2 * COUNTS_MAX):
        tries(throttle, f"name-{number}", f"2001:db8:{number >> 16:x}:{number & 65535:x}::1", 1)
    assert tries(throttle, "one-more", "2001:db9::1", 1) == 0
    assert throttle.begin("vera", "10.0.0.1", is_known=True, now_s=0.0) is None
    assert tries(throttle, "one-more", "2001:db9::1", 1, 61.0) == 1


def test_one_sender_has_one_network_of_ipv6() -> None:
    """Proves: who owns 2^64 addresses has not 2^64 times as many tries."""
    assert neighbourhood("2001:db8::1") == neighbourhood("2001:db8::ffff:1")
    assert neighbourhood("2001:db8::1") != neighbourhood("2001:db8:0:1::1")
    assert neighbourhood("::ffff:10.0.0.1") == neighbourhood("10.0.0.1")
    assert neighbourhood("") == ""


TRIES = st.lists(
    st.tuples(
        st.sampled_from(["vera", "otto", ""]),
        st.sampled_from(["10.0.0.1", "10.0.0.2", "10.0.0.3"]),
        st.floats(0.0, 5.0),
    ),
    max_size=150,
)


@given(TRIES)
def test_no_minute_has_more_wrong_ones(asked: list[tuple[str, str, float]]) -> None:
    """Proves: in any minute, however the tries come, no bound is passed; and a try that is turned
    away is turned away by a bound."""
    throttle, now_s = Throttle(), 0.0
    through: list[tuple[float, str, str]] = []
    for name, address, pause_s in asked:
        now_s += pause_s
        lately = [(n, a) for at_s, n, a in through if now_s - at_s < 60.0]
        of_address = Counter(a for _, a in lately)[address]
        of_pair, of_name = Counter(lately)[name, address], Counter(n for n, _ in lately)[name]
        is_full = of_address >= OF_ADDRESS_MAX or (
            bool(name) and (of_pair >= OF_NAME_AT_ADDRESS_MAX or of_name >= OF_NAME_MAX)
        )
        wait_s = throttle.begin(name, address, is_known=False, now_s=now_s)
        assert (wait_s is not None) is is_full
        if wait_s is None:
            through.append((now_s, name, address))
