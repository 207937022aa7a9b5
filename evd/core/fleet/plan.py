"""The size of a played fleet: its charging points, how many charge, how often drivers ask."""

from typing import Final

import attrs

from evd.core.wire.fields import check_cp_id

CHARGING: Final = 0.2
CHARGING_MAX: Final = 0.9
# A session lasts so long where nobody says how often drivers ask.
SESSION_S: Final = 40.0
SESSION_S_MIN: Final = 3.0
SESSION_S_MAX: Final = 3_600.0


class PlanWrong(ValueError):
    """The numbers do not go together; the text says why."""


@attrs.frozen
class Plan:
    """`cps` charging points, the share `charging` of which charge, for `session_s` each."""

    prefix: str
    cps: int
    charging: float
    session_s: float

    @property
    def target(self) -> int:
        """How many charge at a time."""
        return round(self.cps * self.charging)

    @property
    def requests_s(self) -> float:
        """How many requests a second keep so many charging."""
        return self.target / self.session_s

    @property
    def cp_ids(self) -> list[str]:
        """The ids of all, as wide as the largest needs."""
        width = max(5, len(str(self.cps)))
        return [f"{self.prefix}{number:0{width}}" for number in range(1, self.cps + 1)]


def plan_of(prefix: str, cps: int, charging: float, requests_s: float | None) -> Plan:
    """Return the plan for these numbers; `requests_s` decides how long a session lasts.

    Raises PlanWrong, and FieldError for a `prefix` that makes no id.
    """
    plan = Plan(prefix, cps, charging, SESSION_S)
    check_cp_id(plan.cp_ids[-1], "--prefix")
    if requests_s is None:
        return plan
    if not plan.target or not requests_s:
        raise PlanWrong("--requests: needs some that charge, see --charging")
    session_s = plan.target / requests_s
    if not SESSION_S_MIN <= session_s <= SESSION_S_MAX:
        raise PlanWrong(
            f"--requests: {requests_s:g} a second keep {plan.target} charging for"
            f" {session_s:g} s each, which must be {SESSION_S_MIN:g} to {SESSION_S_MAX:g} s"
        )
    return attrs.evolve(plan, session_s=session_s)
