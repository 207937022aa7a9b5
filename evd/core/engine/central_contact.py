"""The Central that an engine obeys, and whether it is there, from what it is heard to say."""

import attrs

# Beacons come every second.
SILENT_S = 3.0


@attrs.define
class CentralContact:
    """`central_id` is the Central that is obeyed, None while none was heard.

    Times in monotonic seconds; `since_s` is when it was last heard, or the engine's start.
    """

    central_id: str | None
    since_s: float
    _was_heard: bool = False
    _epoch: int | None = None

    def is_silent(self, now_s: float) -> bool:
        """Whether it was not heard for so long that it must be taken for away."""
        return now_s - self.since_s > SILENT_S

    def hear(self, now_s: float, epoch: int | None = None) -> bool:
        """Note that it was heard, in a beacon by its `epoch`.

        Returns whether it may have missed some of what was sent.
        """
        is_new = epoch is not None and epoch != self._epoch
        is_back = is_new or not self._was_heard or self.is_silent(now_s)
        self._was_heard, self.since_s = True, now_s
        if epoch is not None:
            self._epoch = epoch
        return is_back

    def excuse(self, now_s: float) -> None:
        """Begin to listen anew: the listener itself was away."""
        self.since_s = now_s

    def obey(self, central_id: str, now_s: float) -> None:
        """Obey `central_id` from now on, which was not heard yet."""
        self.central_id = central_id
        self.since_s, self._was_heard, self._epoch = now_s, False, None
