"""A report: sums over what was billed."""

from enum import StrEnum
from typing import Final

import attrs

# A bill that nothing changes any more, for somebody to pay.  What the operator voided has none: its
# recorded energy can't be.
BILLED: Final = "settled AND billable AND cost_cents = coalesce(recorded_cents, cost_cents)"


class Grouping(StrEnum):
    """A report has a row for each month (in UTC, of the start), charging point or driver."""

    MONTH = "month"
    CP = "cp"
    DRIVER = "driver"


@attrs.frozen(slots=True)
class ReportRow:
    """The sums of the sessions with one key."""

    key: str
    sessions: int
    energy_mwh: int
    cost_cents: int
