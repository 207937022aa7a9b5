"""Bounds on how often each address and each token may ask, as buckets that fill again in time."""

import math
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

import attrs

from evd.adapters.http.refused import Refused
from evd.core.access.roles import Auth
from evd.core.access.throttle import neighbourhood

DEFAULT_A_SECOND: Final = 50.0
# As many callers are told apart; the one that asked longest ago is forgotten first.
KEYS_MAX: Final = 20_000
# Requests a second that look after a program's health, and at once.
WATCHING_RATE: Final = 10.0
WATCHING_BURST: Final = 20
WATCHING_PATHS: Final = frozenset({"/health", "/metrics"})
# A page consists of some fifty files: whole households and offices have one address.
FILES: Final = "/web/"
FILES_TIMES: Final = 10
SENTENCE: Final = "too many requests; see Retry-After"


@attrs.frozen
class Rate:
    """At most `burst` requests at once, and `a_second` on the whole; 0: any number."""

    a_second: float
    burst: int


UNBOUNDED: Final = Rate(0.0, 1)
WATCHING: Final = Rate(WATCHING_RATE, WATCHING_BURST)


class Buckets:
    """A bucket of one rate for each key."""

    def __init__(self, rate: Rate, clock: Callable[[], float]) -> None:
        self._rate = rate
        self._clock = clock
        # How many requests each key may make at once, and when that was so; oldest first.
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._levels)

    def take(self, key: str) -> None:
        """Count one request; raise Refused, a 429, where it is one too many."""
        rate = self._rate
        if not rate.a_second:
            return
        now_s = self._clock()
        level, at_s = self._levels.pop(key, (float(rate.burst), now_s))
        level = min(float(rate.burst), level + (now_s - at_s) * rate.a_second)
        is_within = level >= 1.0
        self._levels[key] = (level - 1.0 if is_within else level, now_s)
        if len(self._levels) > KEYS_MAX:
            self._levels.popitem(last=False)
        if not is_within:
            raise Refused(429, SENTENCE, retry_s=math.ceil((1.0 - level) / rate.a_second))


class Rates:
    """The bounds of one server: of addresses, of tokens, and apart from both of those who watch and
    of the files of pages, of which an address may have FILES_TIMES as many."""

    def __init__(self, rate: Rate, clock: Callable[[], float], watching: Rate = WATCHING) -> None:
        files = Rate(FILES_TIMES * rate.a_second, FILES_TIMES * rate.burst)
        self._of_addresses = Buckets(rate, clock)
        self._of_files = Buckets(files, clock)
        self._of_holders = Buckets(rate, clock)
        self._of_watching = Buckets(watching, clock)

    def take_of_address(self, address: str, path: str) -> None:
        """Count a request of an address, before it is known who asks."""
        self._bound_of(path).take(neighbourhood(address))

    def take_of_holder(self, holder: str, path: str) -> None:
        """Count a request of a token or login."""
        if self._bound_of(path) is self._of_addresses:
            self._of_holders.take(holder)

    def _bound_of(self, path: str) -> Buckets:
        if path in WATCHING_PATHS:
            return self._of_watching
        return self._of_files if path.startswith(FILES) else self._of_addresses


def rates_of(a_second: float | None, burst: int, auth: Auth, clock: Callable[[], float]) -> Rates:
    """The rates that flags stand for: where none is given there are some unless everybody may call
    as often as it likes."""
    if a_second is None:
        a_second = 0.0 if auth is Auth.OFF else DEFAULT_A_SECOND
    is_unbounded = auth is Auth.OFF and not a_second
    return Rates(Rate(a_second, burst), clock, UNBOUNDED if is_unbounded else WATCHING)
