"""A page of a list: how long it is, and where it begins and ends."""

from datetime import datetime

import attrs


@attrs.frozen
class Page:
    """At most `limit` rows, the newest first.

    `before`: only what stands behind the row with this key.  `since`: only what was then or later;
    `until`: only what was earlier.
    """

    limit: int = 100
    before: int | None = None
    since: datetime | None = None
    until: datetime | None = None
