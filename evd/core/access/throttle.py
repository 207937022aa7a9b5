"""The bounds of wrong passwords, in memory: guessing is slow, and nobody locks another one out.

A try counts before its password is looked at, so a hundred at once are no more than one after the
other; one that was right is given back.  A name that no user has costs the same.
"""

from collections import deque
from ipaddress import IPv6Address, ip_address
from typing import Final

WINDOW_S: Final = 60.0
OF_NAME_AT_ADDRESS_MAX: Final = 5
OF_ADDRESS_MAX: Final = 20
OF_NAME_MAX: Final = 50
# Beyond so many counts new ones are turned away: each costs an address some tries to fill.
COUNTS_MAX: Final = 20_000

_Key = tuple[str, str, str]


class Throttle:
    """The tries of the last minute, by name and address, by address, and by name."""

    def __init__(self) -> None:
        self._tries: dict[_Key, deque[float]] = {}
        self._swept_s = 0.0

    def begin(self, name: str, address: str, *, is_known: bool, now_s: float) -> float | None:
        """Count a try; None: it may go on.  Else it counts for nothing, and the next one may come
        in so many seconds.

        `is_known`: this user has logged in from this address, which then has its own count alone.
        `name` is empty where none is given, as for a token.
        """
        self._sweep(now_s)
        counts = _counts(name, address, is_known)
        waits_s = [self._wait_s(key, most, now_s) for key, most in counts.items()]
        if any(waits_s):
            return max(waits_s)
        if not is_known and len(self._tries) + len(counts) > COUNTS_MAX:
            return WINDOW_S
        for key, most in counts.items():
            self._tries.setdefault(key, deque(maxlen=most)).append(now_s)
        return None

    def give_back(self, name: str, address: str, *, is_known: bool) -> None:
        """A try that was counted was no wrong password."""
        for key in _counts(name, address, is_known):
            tries = self._tries.get(key)
            if tries:
                tries.pop()

    def _wait_s(self, key: _Key, most: int, now_s: float) -> float:
        tries = self._tries.get(key, ())
        lately = [at_s for at_s in tries if now_s - at_s < WINDOW_S]
        return lately[-most] + WINDOW_S - now_s if len(lately) >= most else 0.0

    def _sweep(self, now_s: float) -> None:
        """Forget what is over, once a window, or once a second while there are too many."""
        is_full = len(self._tries) >= COUNTS_MAX - OF_NAME_MAX
        if now_s - self._swept_s < (1.0 if is_full else WINDOW_S):
            return
        self._swept_s = now_s
        self._tries = {
            key: tries
            for key, tries in self._tries.items()
            if tries and now_s - tries[-1] < WINDOW_S
        }


def _counts(name: str, address: str, is_known: bool) -> dict[_Key, int]:
    """The counts that a try is part of, and the bound of each."""
    place = neighbourhood(address)
    if is_known:
        return {("known", name, address): OF_NAME_AT_ADDRESS_MAX}
    counts = {("address", "", place): OF_ADDRESS_MAX}
    if name:
        counts["pair", name, place] = OF_NAME_AT_ADDRESS_MAX
        counts["name", name, ""] = OF_NAME_MAX
    return counts


def neighbourhood(address: str) -> str:
    """Return the addresses that one sender can have: of IPv6 a network of 64 bits."""
    try:
        found = ip_address(address)
    except ValueError:
        return address
    if not isinstance(found, IPv6Address):
        return address
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return f"{IPv6Address(int(found) >> 64 << 64)}/64"
