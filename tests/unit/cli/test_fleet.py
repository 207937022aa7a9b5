"""`evd fleet` before it plays: all that can't work is one sentence, and nothing was done."""

from collections.abc import Sequence
from pathlib import Path

import attrs
import pytest

from evd.adapters.http.central_client import Central, CentralAway
from evd.cli.command_line import CommandLineWrong
from evd.cli.errors import ToolFailed
from evd.cli.fleet import check_files
from evd.cli.fleet_view import as_fields, as_lines
from evd.core.fleet.plan import plan_of
from evd.core.fleet.report import Looked, Report
from evd.core.fleet.waits import Spread
from tests.unit.cli.scene import Answer, run_verb

HEALTHY: Answer = (200, {"status": "healthy", "central_id": "central-1"}, {})
GONE: Answer = (404, {"error": "no such charging point"}, {})
REPORT = Report(
    cps=1_000,
    registered=998,
    registered_s=2.5,
    charging=200,
    seconds=30.0,
    central=Looked(cores=0.3, resident_mb=90.5, disconnected=0, broken=None, not_on=2, list_ms=80),
    messages_s={"heartbeats": 1_111.1, "read": 1_400.0},
    accepted=Spread(150, 20.0, 80.5, 90.0),
    shown=None,
    acked=Spread(30_000, 1.0, 4.0, 9.0),
    late=Spread(30_000, 2.0, 5.0, 9.0),
    finals={"COMPLETED": 150},
    reasons={},
    given_up=0,
    unasked=0,
    nacks={"full": 2},
    lost=0,
    away_s=0.0,
    own_cores=0.4,
)


def known(*cp_ids: str) -> Answer:
    """The list of a Central that knows these."""
    return 200, {"charging_points": [{"cp_id": each, "state": "ON"} for each in cp_ids]}, {}


def refusal(answers: Sequence[Answer], *more: str) -> str:
    """The sentence by which a fleet of ten is refused."""
    with pytest.raises(ToolFailed) as caught:
        run_verb(answers, "fleet", "--cps", "10", "--seconds", "5", *more)
    assert caught.value.exit_code == 2
    return str(caught.value)


def test_numbers_that_are_missing_or_wrong() -> None:
    """Proves: a fleet without its numbers, or with some that do not go together, is refused before
    Central is asked anything but whether it is well."""
    with pytest.raises(ToolFailed, match="--cps and --seconds"):
        run_verb([HEALTHY], "fleet", "--cps", "10")
    assert "--requests: " in refusal([HEALTHY], "--requests", "900")
    assert "--prefix" in refusal([HEALTHY], "--prefix", "a b")
    with pytest.raises(CommandLineWrong, match=r"^--charging: must be from 0 to 0\.9, not '0\.95'"):
        run_verb([], "fleet", "--cps", "10", "--seconds", "5", "--charging", "0.95")


def test_more_than_the_open_files_carry() -> None:
    """Proves: a fleet for which this process has no connections is refused, with the number that
    it has."""
    plan = plan_of("FLEET-", 900, 0.2, None)
    check_files(plan, 1_100)
    with pytest.raises(ToolFailed, match="1,024 open files: that is enough for 824 charging"):
        check_files(plan, 1_024)


def test_a_central_of_real_charging_points() -> None:
    """Proves: a Central that knows others wants --yes, one that knows ids with this prefix wants
    another prefix or their removal, and one that would let no charging point be removed wants an
    admin's token: nothing is registered before."""
    told = refusal([HEALTHY, known("CP-001", "CP-002")])
    assert "knows 2 other charging points, such as CP-001" in told and "--yes" in told
    told = refusal([HEALTHY, known("CP-001", "FLEET-00007")], "--yes")
    assert "knows 1 charging points whose ids begin with FLEET-, such as FLEET-00007" in told
    assert "--clean" in told
    denied: Answer = (403, {"error": "an operator may not do this"}, {})
    assert "only an admin" in refusal([HEALTHY, known(), denied])


def test_tokens_are_read_before_and_sent_nowhere_in_clear(tmp_path: Path) -> None:
    """Proves: a missing token is named by its file; none goes beyond loopback, since a fleet speaks
    no TLS."""
    folder = ("--tokens-dir", str(tmp_path))
    assert "FLEET-00001" in refusal([HEALTHY], *folder)
    elsewhere = refusal([HEALTHY], *folder, "--central-host", "192.0.2.7")
    assert "no token is sent to 192.0.2.7" in elsewhere


def test_no_central_is_no_fleet() -> None:
    """Proves: where Central can't be asked the tool says so, as of any other verb."""
    with pytest.raises(CentralAway):
        run_verb([(200, [], {})], "fleet", "--cps", "10", "--seconds", "5")
    assert Central("http://127.0.0.1:1").url


def test_what_an_earlier_run_left_is_removed() -> None:
    """Proves: --clean removes what has the prefix and a number, and nothing else."""
    code, asked = run_verb(
        [known("FLEET-00002", "FLEET-A", "CP-001"), (204, b"", {})], "fleet", "--clean"
    )
    assert (code, asked) == (0, ["GET /cp", "DELETE /cp/FLEET-00002"])


def test_the_report_for_people_and_for_scripts() -> None:
    """Proves: each figure has its line, one that could not be asked is a question mark, and the
    verdict is the last; a script gets the same, with the verdict as a field."""
    lines = list(as_lines(REPORT))
    assert "registered                 998 of 1,000, all in 2.5 s" in lines
    never = attrs.evolve(REPORT, registered_s=None)
    assert "registered                 998 of 1,000, never all" in list(as_lines(never))
    assert "request to ACCEPTED        p50 20 ms, p99 80.5 ms, longest 90 ms (150)" in lines
    assert "wrongly shown              0 DISCONNECTED, ? BROKEN, 2 not ON at the end" in lines
    assert lines[-1] == (
        "Central did not keep up: 2 of 1000 monitors are not registered; 2 monitors were refused:"
        " full; 2 charging points were not ON at the end."
    )
    fields = as_fields(REPORT)
    assert (fields["kept_up"], fields["played_late"]) == (False, False)
    assert fields["accepted"] == {"count": 150, "p50_ms": 20.0, "p99_ms": 80.5, "most_ms": 90.0}
    assert fields["central"]["cores"] == 0.3
