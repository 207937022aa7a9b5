"""`evd access`: who would be refused, and the copy of all access."""

import json
import stat
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import evd.cli
from evd.adapters.http.central_client import Central
from evd.adapters.store import open_store
from evd.adapters.supervisor.protocol import Program
from evd.cli.errors import ToolFailed
from evd.cli.listing import clock
from evd.cli.site_file import SiteFileWrong, access_file_of, parse_site
from evd.core.access.roles import Role
from evd.core.access.rows import User
from tests.unit.cli.scene import Answer, Answers, Supervised, answering, central_at, port_of

AT = "2026-01-31T12:00:00.123456Z"
HASH = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2g"
COPY = {
    "format": 1,
    "users": [{"name": "alice", "role": "admin", "password_hash": HASH}],
    "tokens": [{"name": "CP-001", "role": "monitor", "digest": "0" * 64, "cp_id": "CP-001"}],
}
NEWS = {"users": ["alice"], "tokens": ["CP-001"], "revoked": ["bob"], "same": 3}
NONE = {"users": [], "tokens": [], "revoked": [], "same": 4}


def run(answers: list[Answer], *words: str) -> tuple[int, list[tuple[str, str, Any]]]:
    """The exit code of a command, and the calls that it made with their bodies."""
    options, found = evd.cli.parse([*words]), Answers(answers)
    with answering(found) as central:
        code = int(options.run(Supervised([central_at(central)]), options))
    return code, found.asked


def network(central: Central, auth: str, folder: Path) -> Supervised:
    """A network in `folder` with this Central, whose supervisor does not run."""
    flags = ("--http-port", str(port_of(central)), "--auth", auth)
    return Supervised([Program("evd-central", None, flags)], var=folder)


def run_on(supervisor: Supervised, *words: str) -> int:
    """The exit code of a command on this network."""
    options = evd.cli.parse([*words])
    return int(options.run(supervisor, options))


def refused(kind: str, name: str, address: str, why: str) -> dict[str, Any]:
    """One whom `required` would refuse."""
    fields = {"kind": kind, "name": name, "address": address, "why": why}
    return {**fields, "count": 3, "last_at": AT}


def test_who_would_be_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """Proves: each charging point, driver and caller that would be refused is named, with where it
    is and why; the exit code says whether one is left, and so does JSON."""
    rows = [
        refused("point", "CP-001", "10.0.0.5", "it shows no token"),
        refused("driver", "driver-al", "", "it shows no token"),
        refused("caller", "", "10.0.0.9", "its token\nis revoked"),
    ]
    found = {"auth": "warn", "refused": rows}
    code, asked = run([(200, found, {})], "access", "ready")
    assert (code, asked) == (1, [("GET", "/access/ready", None)])
    last = f"(3 times, last {clock({'at': AT}, 'at')})"
    assert capsys.readouterr().out.splitlines() == [
        f"The charging point CP-001 at 10.0.0.5 would be refused: it shows no token {last}.",
        f"The driver driver-al would be refused: it shows no token {last}.",
        f"A caller at 10.0.0.9 would be refused: its token\\nis revoked {last}.",
    ]
    run([(200, found, {})], "access", "ready", "--json")
    assert json.loads(capsys.readouterr().out) == found


@pytest.mark.parametrize(
    ("auth", "code", "told"),
    [
        ("warn", 0, "Nobody would be refused: --auth required is safe."),
        ("required", 0, "Nobody would be refused: --auth required is safe."),
        ("off", 1, "Central runs with --auth off, and so notes nobody: --auth warn comes first."),
    ],
)
def test_nobody_is_left(
    capsys: pytest.CaptureFixture[str], auth: str, code: int, told: str
) -> None:
    """Proves: none is left only where somebody looked."""
    assert run([(200, {"auth": auth, "refused": []}, {})], "access", "ready")[0] == code
    assert capsys.readouterr().out == f"{told}\n"


def test_a_copy_goes_out_and_in(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Proves: what was exported comes back as it was; the file is its owner's alone, also where
    another one lay there."""
    path = tmp_path / "access.json"
    path.touch(0o666)
    assert run([(200, COPY, {})], "access", "export", str(path))[0] == 0
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert HASH not in capsys.readouterr().out
    code, asked = run([(200, NEWS, {})], "access", "import", str(path), "--yes")
    assert (code, asked) == (0, [("POST", "/access/import", {"access": COPY, "apply": True})])
    assert capsys.readouterr().out.splitlines() == [
        "These users can log in by it: alice",
        "These tokens become valid: CP-001",
        "Stay revoked or removed: bob",
        "The same: 3",
        "Done",
    ]


def test_what_becomes_valid_is_agreed_to(tmp_path: Path) -> None:
    """Proves: without --yes the names are told and nothing is changed; where nothing becomes valid
    there is nothing to agree to."""
    path = tmp_path / "access.json"
    path.write_text(json.dumps(COPY))
    answers = Answers([(200, NEWS, {})])
    options = evd.cli.parse(["access", "import", str(path)])
    with answering(answers) as central, pytest.raises(ToolFailed) as caught:
        options.run(Supervised([central_at(central)]), options)
    assert caught.value.exit_code == 2
    assert str(caught.value) == (
        "These users can log in by it: alice. These tokens become valid: CP-001. Stay revoked or"
        " removed: bob. Nothing was changed: say --yes if that is right."
    )
    assert [each[2]["apply"] for each in answers.asked] == [False]
    code, asked = run([(200, NONE, {})], "access", "import", str(path))
    assert code == 0
    assert [each[2]["apply"] for each in asked] == [False, True]


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff", f"{HASH}".encode()])
def test_a_file_that_is_no_copy(tmp_path: Path, content: bytes) -> None:
    """Proves: another file is refused by name, and nothing of it is shown."""
    path = tmp_path / "x"
    path.write_bytes(content)
    with pytest.raises(ToolFailed, match="is no copy made by evd access export") as caught:
        run([(200, NONE, {})], "access", "import", str(path))
    assert HASH not in str(caught.value)


async def test_a_restore_names_whom_it_lets_in(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Proves: a backup with users whom the present database does not know is put back once that is
    agreed to; without a word nothing is changed, and a backup that lets nobody new in asks
    nothing."""
    state, copy = tmp_path / "state", tmp_path / "copy.db"
    state.mkdir()
    db_url = f"sqlite:///{state}/central.db"
    supervisor = Supervised(
        [Program("evd-central", None, ("--state-dir", str(state), "--db-url", db_url))],
        root=tmp_path,
        var=tmp_path,
    )
    async with open_store(db_url, state) as store:
        await store.commit([User("alice", Role.ADMIN, HASH, datetime.now(UTC))])
    run_on(supervisor, "central", "backup", str(copy))
    assert run_on(supervisor, "central", "restore", str(copy)) == 0
    (state / "central.db").unlink()
    with pytest.raises(ToolFailed, match="These users can log in by it: alice") as caught:
        run_on(supervisor, "central", "restore", str(copy))
    assert caught.value.exit_code == 2
    assert not (state / "central.db").exists()
    capsys.readouterr()
    assert run_on(supervisor, "central", "restore", "--yes", "--json", str(copy)) == 0
    told = json.loads(capsys.readouterr().out)
    assert told == {"file": str(copy), "users": ["alice"], "tokens": []}


SITE = '[[charging_point]]\nid = "CP-001"\nhealth_port = 8001\n'


def test_a_sites_file_has_access_beside_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Proves: where Central asks its callers who they are, an export has users and tokens in a file
    of their own, which the site's file names; an import takes it up once that is agreed to."""
    site = tmp_path / "site.toml"
    answers = Answers([(200, COPY, {})])
    with answering(answers) as central:
        supervisor = network(central, "required", tmp_path)
        run_on(supervisor, "export", str(site))
        access = tmp_path / "site.toml.access"
        assert stat.S_IMODE(access.stat().st_mode) == 0o600
        assert HASH not in site.read_text()
        answers.answers = [(200, NEWS, {})]
        with pytest.raises(ToolFailed, match="alice"):
            run_on(supervisor, "import", str(site))
        assert run_on(supervisor, "import", "--dry-run", str(site)) == 0
        assert [each[2]["apply"] for each in answers.asked[1:]] == [False, False]
        assert run_on(supervisor, "import", "--yes", str(site)) == 0
    assert answers.asked[-1] == ("POST", "/access/import", {"access": COPY, "apply": True})
    assert "site.toml.access: These users can log in by it: alice" in capsys.readouterr().out


def test_an_open_network_has_no_access(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Proves: where nobody is asked who calls, an export is one file, as ever, and an import leaves
    the users and tokens of another network alone and says so."""
    site = tmp_path / "site.toml"
    answers = Answers([(200, NEWS, {})])
    with answering(answers) as central:
        supervisor = network(central, "off", tmp_path)
        run_on(supervisor, "export", str(site))
        assert [each.name for each in tmp_path.iterdir()] == ["site.toml"]
        site.write_text('access = "x"\n' + site.read_text())
        assert run_on(supervisor, "import", str(site)) == 0
    assert answers.asked == []
    assert capsys.readouterr().err.startswith("evd: x is left: no Central runs here that asks")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (SITE, None),
        (f'access = "a.b"\n{SITE}', "a.b"),
        (f"# access = \"c\"\n\n  access = 'd'\n  {SITE}", "d"),
    ],
)
def test_the_file_that_a_site_names(text: str, named: str | None) -> None:
    """Proves: what a site's file names is found wherever it stands before the first entry."""
    assert [each.id for each in parse_site(text)] == ["CP-001"]
    assert access_file_of(text) == named


def test_a_site_that_names_no_file() -> None:
    """Proves: anything but a name is refused with its line."""
    with pytest.raises(SiteFileWrong, match="line 2: access: must be the name of a file"):
        parse_site(f"\naccess = 7\n{SITE}")
