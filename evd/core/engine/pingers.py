"""The connections that PING an engine: the one that has long been there is its monitor's."""

from collections.abc import Hashable

import attrs

# A connection counts as the monitor's when it has PINGed for so long, and before all others.
SETTLED_S = 5.0
# One that says nothing for so long begins anew.
SILENT_S = 10.0


@attrs.define
class Pingers:
    """When each connection PINGed first, and last, in monotonic seconds; the oldest comes first."""

    _spans: dict[Hashable, tuple[float, float]] = attrs.field(factory=dict, init=False)

    def on_ping(self, connection: Hashable, now_s: float) -> bool:
        """Note the PING; whether its connection is the one that has long been there."""
        self._spans = {
            each: span for each, span in self._spans.items() if now_s - span[1] <= SILENT_S
        }
        first_s, _ = self._spans.get(connection, (now_s, now_s))
        self._spans[connection] = first_s, now_s
        return connection == next(iter(self._spans)) and now_s - first_s >= SETTLED_S

    def forget(self, connection: Hashable) -> None:
        """Drop a connection that is over."""
        self._spans.pop(connection, None)
