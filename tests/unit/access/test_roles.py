"""The roles and their rights."""

import pytest

from evd.core.access.roles import OPEN, Caller, Right, Role, may

# As the contract's table has it.
RIGHTS = {
    Role.DRIVER: {Right.SEE, Right.CHARGE},
    Role.VIEWER: {Right.SEE, Right.SEE_HEALTH},
    Role.OPERATOR: {Right.SEE, Right.SEE_HEALTH, Right.CHARGE, Right.OPERATE},
    Role.ADMIN: set(Right),
    Role.MONITOR: set(),
}


@pytest.mark.parametrize("role", Role)
def test_each_role_has_its_rights_alone(role: Role) -> None:
    """Proves: nobody may do more, or less, than the contract's table says."""
    assert {right for right in Right if may(role, right)} == RIGHTS[role]


def test_a_caller_shows_no_proof() -> None:
    """Proves: what a caller showed stands in no log, and makes no other caller of the same one."""
    caller = Caller("alice", Role.VIEWER, address="10.0.0.7", proof="0123abcd")
    assert "0123abcd" not in repr(caller)
    assert caller == Caller("alice", Role.VIEWER, address="10.0.0.7")
    assert may(OPEN.role, Right.ADMINISTER)
