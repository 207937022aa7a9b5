"""Tokens of charging points and drivers, as the tool makes, keeps and renews them."""

import json
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import evd.cli
from evd.adapters.supervisor.protocol import CentralGiven, Program
from evd.cli.cp import add_charging_points
from evd.cli.driver import add_drivers, remove_driver
from evd.cli.errors import ToolFailed
from evd.cli.site_file import parse_site, render_site
from evd.cli.site_plan import make_plan, present
from evd.core.access.roles import Role
from evd.core.access.tokens import new_token
from tests.network.processes import free_port
from tests.unit.cli.scene import Answer, Answers, Supervised, answering, port_of

CP = "CP-007"
TOKEN = new_token(Role.MONITOR, bytes(32))
OTHER = new_token(Role.MONITOR, bytes(range(32)))
OF_DRIVER = new_token(Role.DRIVER, bytes(32))
MADE: Answer = (201, {"token": TOKEN}, {})


@contextmanager
def network(tmp_path: Path, answers: Answers, auth: str = "required") -> Iterator[Supervised]:
    """A network in `tmp_path` whose Central answers so."""
    with answering(answers) as central:
        flags = ("--http-port", str(port_of(central)), "--auth", auth)
        program = Program("evd-central", None, flags)
        yield Supervised([program], root=tmp_path, var=tmp_path)


def run(supervisor: Supervised, *words: str) -> int:
    """The exit code of a command."""
    options = evd.cli.parse([*words])
    return int(options.run(supervisor, options))


def raises(why: str) -> "pytest.RaisesExc[ToolFailed]":
    """The expectation that the tool fails with this sentence."""
    return pytest.raises(ToolFailed, match=why)


def token_files(supervisor: Supervised, unit: str) -> list[str]:
    """The --token-file of each program of a unit, empty for one without."""
    found = []
    for program in supervisor.units[unit]:
        flags = dict(zip(program.arguments[::2], program.arguments[1::2], strict=True))
        found.append(flags.get("--token-file", ""))
    return found


def secret(path: Path) -> str:
    """The content of a file that nobody but its owner may read."""
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    return path.read_text().strip()


def test_a_new_charging_point_has_its_token(tmp_path: Path) -> None:
    """Proves: where Central asks who calls, a new charging point's two programs read one file,
    which is its owner's alone."""
    answers = Answers([MADE])
    with network(tmp_path, answers) as supervisor:
        add_charging_points(supervisor, [CP], None, None)
    path = tmp_path / "tokens" / f"cp-{CP}"
    assert answers.asked == [("POST", f"/cp/{CP}/token", {})]
    assert token_files(supervisor, f"cp-{CP}") == [str(path), str(path)]
    assert secret(path) == TOKEN


def test_an_open_network_has_no_tokens(tmp_path: Path) -> None:
    """Proves: with --auth off all is added as ever, and Central is not asked."""
    answers = Answers([MADE])
    with network(tmp_path, answers, "off") as supervisor:
        add_charging_points(supervisor, [CP], None, None)
        add_drivers(supervisor, ["al"], None, None)
    assert answers.asked == []
    assert token_files(supervisor, f"cp-{CP}") == ["", ""]
    assert not (tmp_path / "tokens").exists()


def test_nothing_is_added_without_its_token(tmp_path: Path) -> None:
    """Proves: where Central can't make the token nothing is defined, and the sentence says what
    was to be added and why it was not."""
    away = Program("evd-central", None, ("--http-port", str(free_port()), "--auth", "warn"))
    supervisor = Supervised([away], root=tmp_path, var=tmp_path)
    with pytest.raises(ToolFailed, match=r"CP-007 needs a token: .*refused\. Nothing was added"):
        add_charging_points(supervisor, [CP], None, None)
    why = "al needs a token: Central refuses: permission"
    with network(tmp_path, Answers([(403, {"error": "no"}, {})])) as denied, raises(why):
        add_drivers(denied, ["al"], None, None)
    assert supervisor.units == denied.units == {}


@pytest.mark.parametrize(
    ("health", "calls"),
    [
        ({"status": "healthy", "central_id": "c", "auth": "required"}, 1),
        ({"status": "healthy", "central_id": "c", "auth": "off"}, 0),
        ({"status": "healthy", "central_id": "c"}, 0),
    ],
)
def test_a_host_without_central_asks_it(tmp_path: Path, health: dict[str, str], calls: int) -> None:
    """Proves: whether a token is wanted is Central's word where it runs elsewhere; one of the
    release before wants none."""
    answers = Answers([(200, health, {}), MADE])
    with answering(answers) as central:
        supervisor = Supervised(root=tmp_path, var=tmp_path, elsewhere=central.url)
        add_charging_points(supervisor, [CP], None, None)
    assert [path for _, path, _ in answers.asked[1:]] == [f"/cp/{CP}/token"] * calls


def test_a_stranger_adds_nothing_where_tokens_are_wanted(tmp_path: Path) -> None:
    """Proves: whoever Central does not know is told how to say it, before anything is defined."""
    with answering(Answers([(200, {"status": "healthy"}, {})])) as central:
        supervisor = Supervised(root=tmp_path, var=tmp_path, elsewhere=central.url)
        with pytest.raises(ToolFailed, match="--token-file"):
            add_charging_points(supervisor, [CP], None, None)
    assert supervisor.units == {}


def test_a_driver_comes_and_goes_with_its_token(tmp_path: Path) -> None:
    """Proves: a new driver has a token of its own, which ends with it."""
    answers = Answers([(201, {"token": OF_DRIVER}, {}), (204, b"", {})])
    with network(tmp_path, answers) as supervisor:
        add_drivers(supervisor, ["al"], None, None)
        path = tmp_path / "tokens" / "driver-al"
        assert secret(path) == OF_DRIVER
        assert token_files(supervisor, "driver-al") == [str(path)]
        assert remove_driver(supervisor, "al") == ""
    assert [each[:2] for each in answers.asked] == [("POST", "/drivers"), ("DELETE", "/drivers/al")]
    assert answers.asked[0][2] == {"driver_id": "al"}
    assert not path.exists()


def test_another_token_where_the_programs_read_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Proves: a renewed token is written where the charging point's programs read theirs, and shown
    to nobody; one that had none gets its flags too."""
    answers = Answers([MADE])
    with network(tmp_path, answers, "off") as supervisor:
        add_charging_points(supervisor, [CP], None, None)
        path = tmp_path / "tokens" / f"cp-{CP}"
        assert run(supervisor, "cp", "token", CP, "--json") == 0
        told = json.loads(capsys.readouterr().out)
        assert told == {"cp_id": CP, "file": str(path), "changed": True}
        assert token_files(supervisor, f"cp-{CP}") == [str(path), str(path)]
        before = supervisor.units[f"cp-{CP}"]
        answers.answers = [(201, {"token": OTHER}, {})]
        assert run(supervisor, "cp", "token", "7", "--now") == 0
    assert answers.asked[-1] == ("POST", f"/cp/{CP}/token", {"now": True})
    assert capsys.readouterr().out == f"The token of {CP} is in {path}\n"
    assert secret(path) == OTHER
    assert supervisor.units[f"cp-{CP}"] == before


def test_a_token_of_a_charging_point_elsewhere(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Proves: the token of one whose programs run on another host is printed once; one that is
    there already is put in again and not printed."""
    answers = Answers([MADE])
    kept = tmp_path / "kept"
    kept.write_text(f"{OTHER}\n")
    kept.chmod(0o600)
    with network(tmp_path, answers) as supervisor:
        run(supervisor, "cp", "token", "9")
        assert capsys.readouterr().out == f"{TOKEN}\n"
        run(supervisor, "cp", "token", "9", "--from", str(kept))
        assert capsys.readouterr().out == "Central takes this token of CP-009\n"
        assert answers.asked[-1] == ("POST", "/cp/CP-009/token", {"token": OTHER})
        run(supervisor, "driver", "token", "al")
        assert answers.asked[-1] == ("POST", "/drivers", {"driver_id": "al"})
        kept.chmod(0o644)
        with pytest.raises(ToolFailed, match=r"--from: .*0600") as caught:
            run(supervisor, "cp", "token", "9", "--from", str(kept))
    assert OTHER not in str(caught.value)
    assert len(answers.asked) == 3


def test_a_sites_file_names_the_token_and_has_it_not(tmp_path: Path) -> None:
    """Proves: an exported site says where tokens are and not what they are; where that file is not,
    what is there keeps its own."""
    with network(tmp_path, Answers([MADE])) as supervisor:
        add_charging_points(supervisor, [CP], None, None)
        path = str(tmp_path / "tokens" / f"cp-{CP}")
        text = render_site(present(supervisor).values())
        assert TOKEN not in text
        assert text.count(path) == 2
        without = "".join(x for x in text.splitlines(keepends=True) if "token_file" not in x)
        for other in (text, text.replace(path, "/nowhere/token"), without):
            plan = make_plan(supervisor, parse_site(other))
            assert (len(plan.same), plan.differences) == (1, [])
    elsewhere = Supervised(root=tmp_path, var=tmp_path, given=CentralGiven())
    plan = make_plan(elsewhere, parse_site(text.replace(path, "/nowhere/token")))
    assert all("token_file" not in texts for texts in plan.differences[0].new.settings.values())
