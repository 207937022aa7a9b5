"""Whether the Central that an engine obeys is there, from what it is heard to say."""

import attrs

# Beacons come every second.
SILENT_S = 3.0


@attrs.define
class CentralContact:
    """Times in monotonic seconds; `since_s` is when it was last heard, or the engine's start."""

    since_s: float
    _was_heard: bool = False
    _epoch: int | None = None

    def silent(self, now_s: float) -> bool:
        """Whether it was not heard for so long that it must be taken for away."""
        return now_s - self.since_s > SILENT_S

    def hear(self, now_s: float, epoch: int | None = None) -> bool:
        """It was heard, in a beacon by its `epoch`; whether it may have missed what was sent."""
        is_new = epoch is not None and epoch != self._epoch
        is_back = is_new or not self._was_heard or self.silent(now_s)
        self._was_heard, self.since_s = True, now_s
        if epoch is not None:
            self._epoch = epoch
        return is_back

    def excuse(self, now_s: float) -> None:
        """The listener itself was away: the silence until now says nothing."""
        self.since_s = now_s

    def forget(self, now_s: float) -> None:
        """Another Central is obeyed from now on."""
        self.since_s, self._was_heard, self._epoch = now_s, False, None
