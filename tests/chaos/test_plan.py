"""The plan of a run: drawn from the seed, dense, and of every kind."""

from collections import Counter
from itertools import pairwise

from evd.core.driver.requests_file import parse_requests
from tests.chaos.plan import (
    CP_IDS,
    CUTTABLE,
    DATABASE,
    DRIVER_IDS,
    LEAVE_BEFORE_END_S,
    Kind,
    central_names,
    plan,
    request_lines,
)

OF_SEVERAL = {Kind.DB_CUT, Kind.SWITCHED, Kind.DB_RESTARTED}


def test_a_seed_is_one_plan() -> None:
    """Proves: a run can be repeated by its seed, and another seed is another run."""
    assert plan(7, 120.0) == plan(7, 120.0)
    assert plan(7, 120.0) != plan(8, 120.0)
    assert request_lines(7, "driver-1") == request_lines(7, "driver-1")
    assert request_lines(7, "driver-1") != request_lines(7, "driver-2")


def test_there_is_a_fault_every_second_or_two_of_every_kind() -> None:
    """Proves: ten minutes hold hundreds of faults, all kinds among them, and all parts struck."""
    faults = plan(1, 600.0)
    assert 300 <= len(faults) <= 600
    assert all(0 < later.at_s - sooner.at_s <= 4.0 for sooner, later in pairwise(faults))
    assert set(Counter(fault.kind for fault in faults)) == set(Kind) - OF_SEVERAL
    struck = {target for fault in faults for target in fault.targets}
    assert {f"evd-engine:{each}" for each in CP_IDS} <= struck
    assert {f"evd-driver:{each}" for each in DRIVER_IDS} <= struck
    assert {"evd-central", "evd-broker"} <= struck


def test_several_centrals_are_struck_in_every_way() -> None:
    """Proves: with two Centrals each is killed, held down, hung, cut off and told to hand over, and
    their database is restarted."""
    faults = plan(1, 600.0, centrals=2)
    kinds = {
        name: {fault.kind for fault in faults if name in fault.targets}
        for name in (*central_names(2), DATABASE)
    }
    own = {Kind.KILLED, Kind.HELD, Kind.HUNG, Kind.DB_CUT, Kind.SWITCHED}
    assert all(own <= kinds[name] for name in central_names(2))
    assert kinds[DATABASE] == {Kind.DB_RESTARTED}
    assert "evd-central" not in {target for fault in faults for target in fault.targets}


def test_only_what_can_be_struck_is_struck() -> None:
    """Proves: links are cut only where there is a relay, and nobody leaves at the very end."""
    for fault in plan(3, 600.0):
        if fault.kind is Kind.CUT:
            assert set(fault.targets) <= set(CUTTABLE)
        if fault.kind is Kind.LEFT:
            assert fault.at_s < 600.0 - LEAVE_BEFORE_END_S


def test_the_drivers_files_are_good() -> None:
    """Proves: a driver takes its file, and does not come to its end in ten minutes."""
    lines = request_lines(1, "driver-1")
    assert len(parse_requests("\n".join(lines))) == len(lines) > 600.0
