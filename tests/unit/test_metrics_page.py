"""The page on metrics says what the daemons show, no more and no less."""

import pytest

from tests.unit.exposition import (
    DAEMONS,
    EVERY,
    PROTECTED,
    STATEFUL,
    exposition,
    families,
    listed,
    sections,
)


@pytest.mark.parametrize("daemon", DAEMONS)
def test_the_page_lists_what_a_daemon_shows(daemon: str) -> None:
    """Proves: each metric of a daemon is on the page with its type and its labels, and the page
    names none that there is not."""
    assert listed(daemon) == families(exposition(daemon))


def test_the_page_has_no_part_of_its_own() -> None:
    """Proves: no table of the page is left out of the comparison."""
    assert set(sections()) == {EVERY, STATEFUL, PROTECTED, *DAEMONS}


@pytest.mark.parametrize("daemon", DAEMONS)
def test_no_label_tells_of_one_session(daemon: str) -> None:
    """Proves: there is no series for a session, a request or a driver, whose number has no end."""
    labels = {label for family in families(exposition(daemon)).values() for label in family.labels}
    known = {"cp_id", "state", "status", "outcome", "topic", "code", "reason", "result", "version"}
    known.add("what")
    assert labels <= known
