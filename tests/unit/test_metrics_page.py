"""The page on metrics says what the daemons show, no more and no less."""

import re
from pathlib import Path

import pytest

from tests.unit.exposition import DAEMONS, Family, exposition, families

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"
EVERY, STATEFUL = "Every daemon", "Those with a state directory"


def sections() -> dict[str, dict[str, Family]]:
    """The metrics that each part of the page lists."""
    return {
        part.partition("\n")[0]: {
            name: Family(kind, frozenset(re.findall(r"`(\w+)`", labels)))
            for name, kind, labels in re.findall(
                r"^\| `(\w+)` \| (\w+) \| (.*?)\| \S.*\|$", part, re.MULTILINE
            )
        }
        for part in re.split(r"^## ", PAGE.read_text(), flags=re.MULTILINE)[1:]
    }


def listed(daemon: str) -> dict[str, Family]:
    """The metrics that the page lists for a daemon."""
    parts = sections()
    stateful = {} if daemon == "evd-broker" else parts[STATEFUL]
    return parts[EVERY] | stateful | parts[daemon]


@pytest.mark.parametrize("daemon", DAEMONS)
def test_the_page_lists_what_a_daemon_shows(daemon: str) -> None:
    """Proves: each metric of a daemon is on the page with its type and its labels, and the page
    names none that there is not."""
    assert listed(daemon) == families(exposition(daemon))


def test_the_page_has_no_part_of_its_own() -> None:
    """Proves: no table of the page is left out of the comparison."""
    assert set(sections()) == {EVERY, STATEFUL, *DAEMONS}


@pytest.mark.parametrize("daemon", DAEMONS)
def test_no_label_tells_of_one_session(daemon: str) -> None:
    """Proves: there is no series for a session, a request or a driver, whose number has no end."""
    labels = {label for family in families(exposition(daemon)).values() for label in family.labels}
    assert labels <= {"cp_id", "state", "status", "outcome", "topic", "code", "result", "version"}
