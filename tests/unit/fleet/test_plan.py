"""The size of a played fleet."""

import pytest

from evd.core.fleet.plan import SESSION_S, PlanWrong, plan_of
from evd.core.wire.fields import FieldError


def test_requests_follow_from_the_share_and_the_other_way_round() -> None:
    """Proves: as many requests are made as sessions of the usual length need; who says how many
    decides how long a session lasts."""
    plan = plan_of("FLEET-", 10_000, 0.2, None)
    assert (plan.target, plan.requests_s, plan.session_s) == (2_000, 50.0, SESSION_S)
    assert plan_of("FLEET-", 10_000, 0.2, 100.0).session_s == 20.0
    assert plan_of("FLEET-", 100, 0.0, None).requests_s == 0.0
    assert plan_of("X", 3, 0.2, None).cp_ids == ["X00001", "X00002", "X00003"]


@pytest.mark.parametrize(("charging", "requests_s"), [(0.0, 1.0), (0.2, 10.0), (0.2, 0.001)])
def test_numbers_that_do_not_go_together(charging: float, requests_s: float) -> None:
    """Proves: sessions that would be too short or too long, or none at all, are refused by name."""
    with pytest.raises(PlanWrong, match=r"^--requests: "):
        plan_of("FLEET-", 100, charging, requests_s)


@pytest.mark.parametrize("prefix", ["", " ", "-x", "a/b", "x" * 28])
def test_a_prefix_that_makes_no_id(prefix: str) -> None:
    """Proves: a prefix is good where its last id is one."""
    if prefix == "":
        assert plan_of(prefix, 1, 0.2, None).cp_ids == ["00001"]
        return
    with pytest.raises(FieldError, match="--prefix"):
        plan_of(prefix, 1, 0.2, None)
