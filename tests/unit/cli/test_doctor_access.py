"""`evd doctor` on access: open ports, certificates, tokens, and those who would be refused."""

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from evd.adapters.supervisor.protocol import ProcessState, ProcessStatus, Program
from evd.cli.doctor_access import callers, certificates, open_ports
from evd.core.wire.fields import format_time
from tests.unit.cli.scene import Answer, Answers, Supervised, answering, port_of

DAY_S = 86_400


def running(*programs: Program) -> list[ProcessStatus]:
    """All of them run."""
    return [ProcessStatus(each.name, ProcessState.RUNNING, 1, 60.0, "") for each in programs]


def central(port: int, auth: str) -> Supervised:
    """A network whose Central is at this port."""
    flags = ("--http-port", str(port), "--auth", auth)
    return Supervised([Program("evd-central", None, flags)])


def test_what_is_open_to_strangers() -> None:
    """Proves: a program that listens beyond loopback by --insecure is told with what it lacks, one
    that would not start so is told too, and on loopback there is nothing to tell."""
    host = ("--http-host", "192.0.2.1")
    programs = [
        Program("evd-central", None, (*host, "--insecure")),
        Program("evd-driver", "al", ("--driver-id", "al", "--http-port", "8100", *host)),
        Program("evd-engine", "CP-1", ("--cp-id", "CP-1")),
    ]
    found = [*open_ports(programs, Supervised())]
    assert [each.what for each in found] == [
        "evd-central runs with --insecure: --http-host: 192.0.2.1 is beyond loopback and needs"
        " --tls-cert and --auth required.",
        "evd-driver:al can't be started: --http-host: 192.0.2.1 is beyond loopback and needs"
        " --tls-cert and --auth required, or --insecure where no stranger can reach it.",
    ]
    assert "/net/evd-driver:al.conf" in found[1].remedy


def page(ends_in_days: float, *stale: str) -> Answer:
    """The metrics of a program with a certificate."""
    lines = [f"evd_tls_not_after_seconds {time.time() + ends_in_days * DAY_S}"]
    lines += [f'evd_tls_reload_failed{{flag="{each}"}} 1.0' for each in stale]
    lines += ['evd_tls_reload_failed{flag="token-file"} 0.0']
    return 200, "\n".join([*lines, ""]).encode(), {}


@pytest.mark.parametrize(("days", "count"), [(13, 1), (15, 0), (-1, 1)])
def test_a_certificate_that_ends(days: float, count: int) -> None:
    """Proves: a certificate is told of two weeks before its end, and after it."""
    with answering(Answers([page(days)])) as monitor:
        flags = ("--cp-id", "CP-1", "--metrics-port", str(port_of(monitor)), "--tls-ca", "/ca")
        program = Program("evd-monitor", "CP-1", flags)
        found = [*certificates(Supervised(), [program], running(program))]
    assert len(found) == count
    for each in found:
        day = datetime.now(UTC) + timedelta(days=days)
        verb = "ends" if days > 0 else "ended"
        assert each.what == f"evd-monitor:CP-1: the certificate {verb} on {day:%Y-%m-%d}."


def test_a_file_that_was_wrong_when_it_was_read_again(tmp_path: Path) -> None:
    """Proves: a program that goes on with its old certificate or token is named with the flag; one
    without any file is not asked."""
    answers = Answers([page(90, "tls-ca", "metrics-token-file")])
    with answering(answers) as monitor:
        port = ("--cp-id", "CP-1", "--metrics-port", str(port_of(monitor)))
        bare = Program("evd-monitor", "CP-1", port)
        assert [*certificates(Supervised(), [bare], running(bare))] == []
        assert answers.asked == []
        (tmp_path / "m").write_text("metrics-token\n")
        program = Program("evd-monitor", "CP-1", (*port, "--metrics-token-file", "m"))
        found = [*certificates(Supervised(root=tmp_path), [program], running(program))]
    assert [each.what.partition(" again")[0] for each in found] == [
        "evd-monitor:CP-1 could not read its --tls-ca",
        "evd-monitor:CP-1 could not read its --metrics-token-file",
    ]
    assert answers.tokens == ["Bearer metrics-token"]


def a_token(name: str, days: float | None, *, revoked: bool = False) -> dict[str, object]:
    """A row of GET /tokens."""
    ends = None if days is None else format_time(datetime.now(UTC) + timedelta(days=days))
    return {"name": name, "role": "viewer", "expires_at": ends, "revoked": revoked}


def test_tokens_that_end() -> None:
    """Proves: tokens that end within two weeks, or have ended, are named; those without an end and
    those that were revoked are not."""
    rows = [
        a_token("soon", 13),
        a_token("later", 15),
        a_token("over", -1),
        a_token("ever", None),
        a_token("gone", 1, revoked=True),
    ]
    with answering(Answers([(200, {"tokens": rows}, {})])) as server:
        found = [each.what for each in callers(central(port_of(server), "required"))]
    assert found == [
        "Tokens that end within 14 days: soon.",
        "Tokens that have ended, and are refused: over.",
    ]


def test_whom_required_would_refuse() -> None:
    """Proves: with --auth warn each of them is a finding; with off nobody is asked, and whoever may
    not see that is not told of it."""
    row = {"kind": "point", "name": "CP-1", "address": "", "why": "it shows no token", "count": 1}
    ready: Answer = (200, {"auth": "warn", "refused": [row]}, {})
    answers = Answers([(200, {"tokens": []}, {}), ready])
    with answering(answers) as server:
        (finding,) = callers(central(port_of(server), "warn"))
        asked = len(answers.asked)
        assert [*callers(central(port_of(server), "off"))] == []
        assert len(answers.asked) == asked
    assert finding.what.startswith("The charging point CP-1 would be refused: it shows no token")
    with answering(Answers([(403, {"error": "not for viewers"}, {})])) as server:
        assert [*callers(central(port_of(server), "warn"))] == []
