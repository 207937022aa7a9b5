"""A monitor's verdict on its engine, from one health check after the other."""

from typing import Final

import attrs

from evd.core.wire.control import EngineStatus, KoCause

# Checks come an interval apart, or a little less where the loop was late before.  Such a check
# counts too: without this share a failure would be seen at half the speed.
INTERVAL_SHARE: Final = 0.9


@attrs.define
class Verdict:
    """KO after `failure_threshold` failed checks in a row, OK after one that succeeded.

    At most one failed check in each `interval_s` counts: many refused connections within a moment
    are one observation.  Before the first verdict `status` is None, because a monitor that has just
    started knows nothing.  `cause` says why the newest check failed, while KO.  `changed`: the last
    check made `status` another one.
    """

    failure_threshold: int = 3
    interval_s: float = 1.0
    status: EngineStatus | None = attrs.field(default=None, init=False)
    cause: KoCause | None = attrs.field(default=None, init=False)
    changed: bool = attrs.field(default=False, init=False)
    # Failed checks in a row that have counted.
    failures: int = attrs.field(default=0, init=False)
    _counted_s: float = attrs.field(default=float("-inf"), init=False)

    def __attrs_post_init__(self) -> None:
        if self.failure_threshold < 1:
            raise ValueError("failure_threshold must be at least 1")

    def on_pass(self) -> None:
        """Judge after a check that the engine answered."""
        self.failures = 0
        self._judge(EngineStatus.OK, None)

    def on_failure(self, cause: KoCause, now_s: float) -> None:
        """Judge after a check that failed at `now_s` (monotonic)."""
        if now_s - self._counted_s >= INTERVAL_SHARE * self.interval_s:
            self._counted_s = now_s
            self.failures += 1
        if self.failures >= self.failure_threshold or self.status is EngineStatus.KO:
            self._judge(EngineStatus.KO, cause)
        else:
            self.changed = False

    def on_stall(self) -> None:
        """Forget the failures in a row, not the verdict: this process itself was stopped."""
        self.failures = 0
        self.changed = False

    def _judge(self, status: EngineStatus, cause: KoCause | None) -> None:
        self.changed = status is not self.status
        self.status = status
        self.cause = cause
