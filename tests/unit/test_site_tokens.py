"""The tokens of a site's vault on their way into Central: only those that it does not know."""

from collections.abc import Mapping
from types import ModuleType
from typing import Any, Final

import attrs
import pytest

from evd.core.access.tokens import digest
from tests.network.playbooks import module_of

pytestmark = pytest.mark.ansible

TOKENS: Final = {
    "monitor": {"CP-001": "evd_monitor_" + "a" * 43, "CP-002": "evd_monitor_" + "b" * 43},
    "driver": {"driver-alice": "evd_driver_" + "c" * 43},
    "viewer": {"prometheus": "evd_viewer_" + "d" * 43},
}


@attrs.define
class KnowingCentral:
    """A Central that knows and has revoked some digests, and remembers each call."""

    known: set[str] = attrs.field(factory=set)
    revoked: set[str] = attrs.field(factory=set)
    changes: list[str] = attrs.field(factory=list)

    def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Answer as Central does."""
        if path != "/access/import":
            self.changes.append(path)
            self.known.add(digest(body["token"]))
            return {}
        rows = body["access"]["tokens"]
        barred = [row["name"] for row in rows if row["digest"] in self.revoked]
        new = [row for row in rows if row["digest"] not in self.known | self.revoked]
        if body["apply"]:
            self.changes.append(path)
            self.known |= {row["digest"] for row in new}
        return {"tokens": [row["name"] for row in new], "revoked": barred}


@pytest.fixture
def module() -> ModuleType:
    """The module, as Ansible imports it."""
    return module_of("evd_tokens")


def test_a_central_that_lost_its_database_has_all_of_them_again(module: ModuleType) -> None:
    """Proves: one run brings every token, and the next one changes nothing."""
    central = KnowingCentral()
    names = ["CP-001", "CP-002", "driver-alice", "prometheus"]
    assert sorted(module.take(central, TOKENS)) == names
    assert central.changes == ["/cp/CP-001/token", "/cp/CP-002/token", "/drivers", "/access/import"]
    central.changes.clear()
    assert module.take(central, TOKENS) == []
    assert central.changes == []


def test_a_mere_look_changes_nothing(module: ModuleType) -> None:
    """Proves: with --check the names of what Central lacks are told, and it takes none of it."""
    central = KnowingCentral(known={digest(TOKENS["monitor"]["CP-001"])})
    assert module.take(central, TOKENS, only_look=True) == ["CP-002", "driver-alice", "prometheus"]
    assert central.changes == []


def test_a_revoked_token_is_named(module: ModuleType) -> None:
    """Proves: what was revoked is not made good again, and the sentence says how to make another
    one, without a token in it; the others are taken all the same."""
    token = TOKENS["monitor"]["CP-001"]
    central = KnowingCentral(revoked={digest(token)})
    with pytest.raises(module.CentralFailed, match="CP-001") as failed:
        module.take(central, TOKENS)
    assert token not in str(failed.value)
    assert "evd_new_tokens" in str(failed.value)
    assert digest(TOKENS["driver"]["driver-alice"]) in central.known
