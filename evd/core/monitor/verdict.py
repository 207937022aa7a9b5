"""A monitor's verdict on its engine, from one health check after the other."""

from typing import Final

import attrs

from evd.core.wire.control import EngineStatus, KoCause

# Checks come an interval apart, give or take a busy loop. Without this every second one would not
# count, and a failure would be seen at half the speed.
INTERVAL_SHARE: Final = 0.9


@attrs.define
class Verdict:
    """KO after `failure_threshold` failed checks in a row, OK after one that succeeded.

    At most one failed check in each `interval_s` counts: a connection that is refused again and
    again within a moment is one observation, not many. Before the first verdict `status` is None:
    a monitor that has just started knows nothing, and must claim neither.
    """

    failure_threshold: int = 3
    interval_s: float = 1.0
    status: EngineStatus | None = attrs.field(default=None, init=False)
    # Why the newest check failed, while KO; None otherwise.
    cause: KoCause | None = attrs.field(default=None, init=False)
    # Whether the last check made `status` another one.
    changed: bool = attrs.field(default=False, init=False)
    _failures: int = attrs.field(default=0, init=False)
    _counted_s: float = attrs.field(default=float("-inf"), init=False)

    def __attrs_post_init__(self) -> None:
        if self.failure_threshold < 1:
            raise ValueError("failure_threshold must be at least 1")

    @property
    def failures(self) -> int:
        """How many failed checks in a row have counted."""
        return self._failures

    def check_succeeded(self) -> None:
        """The engine answered."""
        self._failures = 0
        self._judge(EngineStatus.OK, None)

    def check_failed(self, cause: KoCause, now: float) -> None:
        """The engine did not answer, seen at `now` (monotonic, in seconds)."""
        if now - self._counted_s >= INTERVAL_SHARE * self.interval_s:
            self._counted_s = now
            self._failures += 1
        if self._failures >= self.failure_threshold or self.status is EngineStatus.KO:
            self._judge(EngineStatus.KO, cause)
        else:
            self.changed = False

    def restart(self) -> None:
        """Forget the failures in a row, not the verdict: we ourselves were stopped meanwhile."""
        self._failures = 0
        self.changed = False

    def _judge(self, status: EngineStatus, cause: KoCause | None) -> None:
        self.changed = status is not self.status
        self.status = status
        self.cause = cause
