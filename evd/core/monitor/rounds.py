"""The addresses of Central in turn: which one is dialed next, and after which pause.

A round is one try of each.  Within it the next address is dialed soon, because one of them serves
as a rule; a round in which none did makes the next round begin later.
"""

from collections.abc import Sequence
from typing import Final

from evd.core.monitor.backoff import Backoff

# From an address that does not serve to the next one, on average.
NEXT_S: Final = 0.2
# For a host among several to answer a dial: one without power never does.
ANSWER_S: Final = 2.0


class Rounds:
    """Begin with `first` where it is one of `addresses`, and go on with the next ones.

    Each pause has its share of chance, `fraction` from 0 to 1, for the monitors that lose a Central
    lose it at one moment.  The pace of rounds counts from the begin of a round: dead hosts take
    long to try, and monitors that have waited for one need not wait again.  So no address is dialed
    more often than one that is the only one would be.
    """

    def __init__(self, addresses: Sequence[str], delay_max_s: float, first: str | None) -> None:
        self._addresses = tuple(addresses)
        self._at = self._addresses.index(first) if first in self._addresses else 0
        self._next_s = min(NEXT_S, delay_max_s)
        self._delay_max_s = delay_max_s
        self._backoff = Backoff(self._next_s, delay_max_s)
        # The addresses that this round has tried in vain, or tries now.
        self._tried = 0
        self._began_s = 0.0

    @property
    def several(self) -> bool:
        """Whether there is more than one address."""
        return len(self._addresses) > 1

    @property
    def address(self) -> str:
        """The one that is dialed, or will be next."""
        return self._addresses[self._at]

    @property
    def is_over(self) -> bool:
        """Whether a round has just ended in vain, and the next one has not begun."""
        return self._tried == 0

    def on_dial(self, now_s: float) -> None:
        """Count a try; the first one begins a round."""
        if self._tried == 0:
            self._began_s = now_s
        self._tried += 1

    def on_served(self) -> None:
        """End the round: this address serves."""
        self._tried = 0
        self._backoff.reset()

    def after_loss(self, now_s: float, fraction: float) -> float:
        """Return the seconds until the next dial, after a connection that was open.

        A Central that served may do so again at once; the pause only spreads the monitors.
        """
        if self.several and self._tried:
            return self.after_failure(now_s, fraction)
        self._tried = 0
        self._go_on()
        return fraction * self._next_s

    def after_failure(self, now_s: float, fraction: float) -> float:
        """Return the seconds until the next dial, after one that led nowhere."""
        self._go_on()
        pause_s = min(self._next_s * (0.5 + fraction), self._delay_max_s)
        if self.several and self._tried < len(self._addresses):
            return pause_s
        self._tried = 0
        delay_s = self._backoff.next(fraction)
        if not self.several:
            return delay_s
        return max(self._began_s + delay_s - now_s, pause_s)

    def _go_on(self) -> None:
        self._at = (self._at + 1) % len(self._addresses)
