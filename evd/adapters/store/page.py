"""A part of a list: which rows, how many, and where they begin and end."""

from datetime import datetime

import attrs

from evd.core.central.rows import SessionStatus


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


@attrs.frozen
class SessionFilter:
    """The sessions for which all that is not None holds; `before`, `since` and `until` as in a
    Page, about their starts."""

    cp_id: str | None = None
    driver_id: str | None = None
    status: SessionStatus | None = None
    before: str | None = None
    since: datetime | None = None
    until: datetime | None = None
