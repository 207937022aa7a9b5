"""The file of a site: read and written without loss, refused whole where anything is wrong."""

import json
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import evd.cli
from evd.adapters.supervisor.protocol import Program
from evd.cli.errors import ToolFailed
from evd.cli.site_file import Entry, SiteFileWrong, parse_site, render_site
from tests.network.processes import free_port
from tests.unit.cli.scene import Supervised

POINT = '[[charging_point]]\nid = "CP-001"\n'
DRIVER = '[[driver]]\nid = "driver-alice"\n'

words = st.text(max_size=20).filter(str.isprintable)


def entries_with(location: str, comment: str) -> list[Entry]:
    """A charging point in this place, and a driver with this comment among its requests."""
    rates = {"kw_rate": "22", "euro_rate": "0.30", "location": f"x{location}y"}
    engine = {"health_port": "8001", **rates}
    monitor = {"metrics_port": "9301"}
    settings = {"evd-engine": engine, "evd-monitor": monitor}
    driver = {"evd-driver": {"requests_repeat": "yes"}}
    requests = f"# {comment}\nCP-001\r\n\nany"
    return [
        Entry("charging_point", "CP-001", settings),
        Entry("charging_point", "007", {"evd-engine": {}, "evd-monitor": {}}),
        Entry("driver", "driver-alice", driver, requests),
        Entry("driver", "driver-bob", {"evd-driver": {}}),
    ]


@given(words, st.text(max_size=20).map(lambda text: text.replace("\n", "")))
def test_what_is_written_is_read_again(location: str, comment: str) -> None:
    """Proves: export and import lose nothing, whatever quotes, escapes and letters there are."""
    entries = entries_with(location, comment)
    try:
        comment.encode()
    except UnicodeEncodeError:
        # No file of UTF-8 can hold half a character.
        return
    assert parse_site(render_site(entries)) == entries


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (POINT + "kw_rate = 0\n", "line 3: CP-001: kw_rate: must be from"),
        (POINT + "\n# x\nkw_rate = 'much'\n", "line 5: CP-001: kw_rate: must be a number"),
        (POINT + "euro_rate = true\n", "line 3: CP-001: euro_rate: must be a text or a number"),
        (POINT + "speed = 3\n", "line 3: CP-001: speed: is no flag of evd-engine"),
        (POINT + "monitor.speed = 3\n", "line 3: CP-001: monitor.speed: is no flag of evd-monitor"),
        (POINT + "[charging_point.monitor]\n\nspeed = 3\n", "line 5: CP-001: monitor.speed: is no"),
        (POINT + "monitor = 3\n", "line 3: CP-001: monitor: is no flag of evd-engine"),
        (POINT + "cp_id = 'CP-002'\n", "line 3: CP-001: cp_id: stands as `id`"),
        (POINT + POINT, "line 4: CP-001: id: is in the file twice"),
        ("\n[[charging_point]]\nkw_rate = 3\n", "line 2: a charging_point: id: is missing"),
        ("[[charging_point]]\nid = 'no such'\n", "line 2: no such: id: must be"),
        ("[[charging_point]]\nid = 7\nkw_rate = 0\n", "line 3: 7: kw_rate: must be from"),
        ("[[charging_point]]\nid = 'any'\n", "line 2: any: id: in a request"),
        ("[[driver]]\nid = 'evd-engine'\n", "line 2: evd-engine: id: what begins with 'evd-'"),
        (DRIVER + "requests_file = '/etc/passwd'\n", "line 3: driver-alice: requests_file: stands"),
        (DRIVER + 'requests = """\nany\nno such\n"""\n', "line 5: driver-alice: requests: cp_id"),
        (DRIVER + 'requests = "any\\nno such"\n', "line 4: driver-alice: requests: cp_id must"),
        (DRIVER + "requests = '''\n[[x]]\n= \n'''\nhttp_port = 0x\n", "line 7: is no TOML"),
        (DRIVER + "requests = '''\nany\n'''\nhttp_port = -1\n", "line 6: driver-alice: http_port"),
        ("charging_point = 3\n", "line 1: charging_point: must be [[charging_point]]"),
        ("[[charging_points]]\nid = 'x'\n", "line 1: charging_points: a site has"),
        ("\nversion = 3\n", "line 2: version: a site has"),
        ("[[driver]\n", "line 1: is no TOML: expected"),
        (DRIVER + "x", "line 3: is no TOML: "),
    ],
)
def test_a_mistake_has_a_line_and_a_field(text: str, told: str) -> None:
    """Proves: whoever edits the file by hand is told where to look, and why."""
    with pytest.raises(SiteFileWrong) as caught:
        parse_site(text)
    assert str(caught.value).startswith(told)


def run(supervisor: Supervised, *arguments: str) -> int:
    """One command line of the tool, on this network."""
    options = evd.cli.parse(list(arguments))
    return int(options.run(supervisor, options))


def network(folder: Path, ports: tuple[int, int]) -> Supervised:
    """Central and one charging point, defined and not up."""
    central = Program("evd-central", None, ("--http-port", str(ports[1])))
    engine = ("--cp-id", "CP-001", "--health-port", str(ports[0]), "--kw-rate", "22")
    monitor = ("--cp-id", "CP-001", "--cp-e-port", str(ports[0]))
    found = Supervised([central], var=folder, root=folder)
    found.add("cp-CP-001", [Program("evd-engine", "CP-001", engine)])
    found.units["cp-CP-001"].append(Program("evd-monitor", "CP-001", monitor))
    return found


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "[[charging_point]]\nid = 'CP-002'\nhealth_port = {0}\n",
            "line 3: CP-002: health_port: port {0} is given to both evd-engine:CP-001",
        ),
        (
            POINT + "[[charging_point]]\nid = 'CP-002'\nhealth_port = {0}\n",
            "line 5: CP-002: health_port: port {0} is given to both evd-engine:CP-001",
        ),
        (DRIVER + "http_port = {1}\n", "line 3: driver-alice: http_port: port {1} is given to"),
        (DRIVER + "http_port = {2}\n", "line 3: driver-alice: http_port: port {2} is in use"),
        (POINT + "kw_rate = 11\n[[driver]]\nid = '?'\n", "line 5: ?: id: must be"),
    ],
)
def test_a_file_that_is_wrong_is_refused_whole(tmp_path: Path, text: str, told: str) -> None:
    """Proves: where one entry can't be, or listens where another does, nothing at all is done."""
    ports = (free_port(), free_port())
    supervisor = network(tmp_path, ports)
    before = dict(supervisor.units)
    with socket.create_server(("127.0.0.1", free_port())) as other:
        all_ports = (*ports, other.getsockname()[1])
        path = tmp_path / "site.toml"
        path.write_text(text.format(*all_ports))
        with pytest.raises(ToolFailed) as caught:
            run(supervisor, "import", str(path))
    assert caught.value.exit_code == 2
    assert str(caught.value).startswith(f"{path}: {told.format(*all_ports)}")
    assert str(caught.value).endswith("Nothing was changed.")
    assert supervisor.units == before


def test_the_same_file_changes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Proves: what export wrote, import finds to be the same; a second import of a file with
    ports left out keeps those that the first one chose."""
    supervisor = network(tmp_path, (free_port(), free_port()))
    path = tmp_path / "site.toml"
    assert run(supervisor, "export", str(path)) == 0
    capsys.readouterr()
    assert run(supervisor, "import", str(path)) == 0
    assert "The same: 1" in capsys.readouterr().out
    path.write_text(path.read_text() + "\n[[driver]]\nid = 'bob'\nrequests = 'any'\n")
    assert run(supervisor, "import", str(path)) == 0
    assert "+ bob: new" in capsys.readouterr().out
    made = dict(supervisor.units)
    assert run(supervisor, "import", str(path)) == 0
    assert "The same: 2" in capsys.readouterr().out
    assert supervisor.units == made


def test_a_look_changes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Proves: --dry-run tells what is new, changed or left over, and does nothing of it."""
    supervisor = network(tmp_path, (free_port(), free_port()))
    supervisor.add("driver-eve", [Program("evd-driver", "eve", ("--driver-id", "eve"))])
    before = dict(supervisor.units)
    path = tmp_path / "site.toml"
    path.write_text(POINT + "kw_rate = 11\nlocation = 'x'\n" + DRIVER)
    assert run(supervisor, "import", "--dry-run", str(path)) == 0
    assert capsys.readouterr().out.splitlines() == [
        "~ CP-001: kw_rate 22 -> 11, location by default -> x",
        "+ driver-alice: new",
        "? eve: is not in the file, and stays (or: --remove)",
        "The same: 0",
    ]
    assert supervisor.units == before


def test_a_script_is_told_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Proves: with --json standard output is one object: what is new, changed, the same, left
    over, and what was done about it."""
    supervisor = network(tmp_path, (free_port(), free_port()))
    supervisor.add("driver-eve", [Program("evd-driver", "eve", ("--driver-id", "eve"))])
    path = tmp_path / "site.toml"
    path.write_text(POINT + "kw_rate = 11\n" + DRIVER)
    told = {
        "new": [{"kind": "driver", "id": "driver-alice"}],
        "changed": [{"kind": "charging_point", "id": "CP-001", "news": ["kw_rate 22 -> 11"]}],
        "same": [],
        "not_in_file": [{"kind": "driver", "id": "eve"}],
        "dry_run": True,
        "running": False,
        "done": {},
    }
    assert run(supervisor, "import", "--dry-run", "--json", str(path)) == 0
    assert json.loads(capsys.readouterr().out) == told
    assert run(supervisor, "import", "--remove", "--json", str(path)) == 0
    done = {**told, "dry_run": False, "done": {"eve": "Removed"}}
    assert json.loads(capsys.readouterr().out) == done
    assert run(supervisor, "import", "--json", str(path)) == 0
    assert len(json.loads(capsys.readouterr().out)["same"]) == 2


def test_a_file_that_is_none(tmp_path: Path) -> None:
    """Proves: bytes that are no text, and a file that is not there, are one sentence."""
    supervisor = network(tmp_path, (free_port(), free_port()))
    path = tmp_path / "site.toml"
    path.write_bytes(b"# x\n\xff\n")
    with pytest.raises(ToolFailed, match="line 2: is not UTF-8"):
        run(supervisor, "import", str(path))
    with pytest.raises(OSError, match="No such file"):
        run(supervisor, "import", str(tmp_path / "none"))


def test_settings_may_be_variables(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Proves: where variables say what flags say elsewhere they are exported as well, but not the
    addresses of the rest of the network, which each host knows; and import finds them the same."""
    supervisor = network(tmp_path, (free_port(), free_port()))
    variables = {
        "CP_ENGINE_CP_ID": "CP-001",
        "CP_ENGINE_KW_RATE": "11.0",
        "CP_ENGINE_KAFKA_BOOTSTRAP": "kafka-1:9092",
        "CP_MONITOR_CENTRAL_HOST": "central",
    }
    supervisor.add(
        "cp-CP-001",
        [
            Program("evd-engine", "CP-001", ("--cp-id", "CP-001"), variables),
            Program("evd-monitor", "CP-001", ("--cp-id", "CP-001"), variables),
        ],
    )
    path = tmp_path / "site.toml"
    assert run(supervisor, "export", str(path)) == 0
    assert path.read_text().endswith('[[charging_point]]\nid = "CP-001"\nkw_rate = 11.0\n')
    capsys.readouterr()
    assert run(supervisor, "import", "--dry-run", str(path)) == 0
    path.write_text(path.read_text() + 'kafka_bootstrap = "kafka-1:9092"\n')
    assert run(supervisor, "import", "--dry-run", str(path)) == 0
    assert capsys.readouterr().out == "The same: 1\n" * 2
