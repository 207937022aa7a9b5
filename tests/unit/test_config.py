"""Flags and variables: names, defaults, and one clear line for everything that is wrong."""

import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evd.addresses import bracketed
from evd.config import (
    BrokerConfig,
    CentralConfig,
    DriverConfig,
    EngineConfig,
    MonitorConfig,
    broker_config,
    central_config,
    driver_config,
    engine_config,
    make_state_dir,
    monitor_config,
    monitors_allowed,
    read_requests_file,
)
from evd.flags import ConfigError, flags_of, refuse
from evd.version import VERSION
from tests import docs

Parse = Callable[[Sequence[str], Mapping[str, str]], Any]

PARSERS: dict[str, tuple[Parse, list[str]]] = {
    "broker": (broker_config, []),
    "central": (central_config, []),
    "engine": (engine_config, ["--cp-id", "CP-001"]),
    "monitor": (monitor_config, ["--cp-id", "CP-001"]),
    "driver": (driver_config, ["--driver-id", "driver-alice"]),
}
DATABASES = (
    "sqlite:////var/lib/evd/c.db",
    "postgresql+psycopg://u:p@h/evd",
    "postgresql+psycopg://u:a/b#c?d@[::1]:5432/evd?sslmode=require",
    "postgresql+psycopg:///evd?host=/run/postgresql",
)
TABLES = (BrokerConfig, CentralConfig, EngineConfig, MonitorConfig, DriverConfig)


def test_the_page_of_all_flags_is_new() -> None:
    """Proves: every flag of every program is there, with the default that docs/configuration.md
    tells; where a change is meant, `make docs` writes the page anew."""
    assert docs.CONFIGURATION.read_text() == docs.configuration()


def attributes(config: object) -> dict[str, object]:
    """The fields of a configuration and their values."""
    return dict(vars(config))


@pytest.mark.parametrize("name", PARSERS)
def test_what_a_program_works_out_by_itself(name: str) -> None:
    """Proves: without flags each program has a value for all that its page calls a default, its
    state and Central's database below ./var."""
    parse, required = PARSERS[name]
    config = attributes(parse(required, {}))
    assert config.keys() == {each.field for each in flags_of(type(parse(required, {})))}
    own = ["var", name, *required[1:]]
    assert config.get("state_dir", Path(*own)) == Path(*own)
    assert config.get("db_url", "") in ("", "sqlite:///var/central/central.db")


@pytest.mark.parametrize(
    ("files_max", "monitors"), [(65_536, 59_536), (20_000, 14_000), (1_024, 512), (1, 1)]
)
def test_the_limit_of_open_files_says_how_many_monitors_fit(files_max: int, monitors: int) -> None:
    """Proves: most of a large limit is for monitors, and half of a small one."""
    assert monitors_allowed(files_max) == monitors


@pytest.mark.parametrize("name", PARSERS)
def test_every_variable_works_and_its_flag_wins(name: str) -> None:
    """Proves: each flag can be given as a variable under the program's prefix, and a flag wins."""
    parse, required = PARSERS[name]
    prefix = parse(required, {}).PREFIX
    env = {f"{prefix}LOG_LEVEL": "debug", f"{prefix}LOG_FORMAT": "json"}
    assert parse(required, env).log_level == "DEBUG"
    assert parse(required, env).log_format == "json"
    assert parse([*required, "--log-level", "ERROR"], env).log_level == "ERROR"


def test_variables_have_the_flags_names() -> None:
    """Proves: a unit file can set every flag by the name that the documentation derives."""
    for table in TABLES:
        for each in flags_of(table):
            words = each.name.removeprefix("--").replace("-", "_").upper()
            assert each.variable == table.PREFIX + words
    config = engine_config([], {"CP_ENGINE_CP_ID": "CP-9", "CP_ENGINE_KW_RATE": "75"})
    assert (config.cp_id, config.kw_rate) == ("CP-9", 75.0)


def test_a_switch_stands_alone() -> None:
    """Proves: --insecure needs no value, is off where it is not given, and has a variable."""
    required = ["--cp-id", "CP-001"]
    assert not engine_config(required, {}).insecure
    assert engine_config(["--insecure", *required], {}).insecure
    assert engine_config([*required, "--insecure"], {"CP_ENGINE_INSECURE": "no"}).insecure
    assert engine_config(required, {"CP_ENGINE_INSECURE": "yes"}).insecure


def test_an_empty_variable_is_not_set() -> None:
    """Proves: a line `CP_ENGINE_LOCATION=` of an environment file leaves the default."""
    config = engine_config(["--cp-id", "CP-001"], {"CP_ENGINE_LOCATION": ""})
    assert config.location is None


def test_systemd_gives_the_state_directory() -> None:
    """Proves: under systemd the state is where the unit says, unless a flag says otherwise."""
    env = {"STATE_DIRECTORY": "/var/lib/evd/engine:/var/lib/evd/more"}
    config = engine_config(["--cp-id", "CP-001"], env)
    assert config.state_dir == Path("/var/lib/evd/engine")
    central = central_config([], {"STATE_DIRECTORY": "/var/lib/evd/central"})
    assert central.db_url == "sqlite:////var/lib/evd/central/central.db"
    chosen = engine_config(["--cp-id", "CP-001", "--state-dir", "/elsewhere"], env)
    assert chosen.state_dir == Path("/elsewhere")


def test_systemd_hands_over_the_databases_address(tmp_path: Path) -> None:
    """Proves: the credential db-url is Central's database where neither flag nor variable names
    one; a wrong one is told by its name, and never shown."""
    env = {"CREDENTIALS_DIRECTORY": str(tmp_path), "STATE_DIRECTORY": "/var/lib/evd/central"}
    assert central_config([], env).db_url == "sqlite:////var/lib/evd/central/central.db"
    (tmp_path / "db-url").write_text("postgresql+psycopg://u:secret@h/evd\n")
    assert central_config([], env).db_url == "postgresql+psycopg://u:secret@h/evd"
    named = {**env, "CENTRAL_DB_URL": "sqlite:////elsewhere.db"}
    assert central_config([], named).db_url == "sqlite:////elsewhere.db"
    (tmp_path / "db-url").write_text("mysql://u:secret@h/evd")
    with pytest.raises(ConfigError, match=r"^\$CREDENTIALS_DIRECTORY/db-url: ") as raised:
        central_config([], env)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("name", "flag", "text", "value"),
    [
        ("central", "--listen-host", "::1", "::1"),
        ("central", "--listen-host", "0.0.0.0", "0.0.0.0"),
        ("central", "--http-host", "::", "::"),
        ("central", "--http-host", "fe80::1%eth0", "fe80::1%eth0"),
        ("central", "--http-host", "::ffff:192.0.2.1", "::ffff:192.0.2.1"),
        ("central", "--http-host", "evd_central-1.example.", "evd_central-1.example."),
        ("central", "--http-host", "4you.2b", "4you.2b"),
        ("central", "--kafka-bootstrap", "a:1, b.example:9,[::1]:9", "a:1,b.example:9,[::1]:9"),
        ("central", "--kafka-bootstrap", "[fe80::1%eth0]:9", "[fe80::1%eth0]:9"),
        ("central", "--feed-origins", "http://h:80,https://h:443", ("http://h", "https://h")),
        ("central", "--feed-origins", "http://h:443,http://b", ("http://h:443", "http://b")),
        ("central", "--feed-origins", "https://A.example:8443", ("https://a.example:8443",)),
        ("central", "--feed-origins", "http://[0:0::1]:80", ("http://[::1]",)),
        ("driver", "--http-hosts", "Grid.example., ::1,plant", ("Grid.example.", "::1", "plant")),
        *(("central", "--db-url", url, url) for url in DATABASES),
        ("central", "--restart-grace", "0", 0.0),
        ("monitor", "--central-host", "a", ("a",)),
        ("monitor", "--central-host", "::1", ("[::1]",)),
        ("monitor", "--central-host", "a, b:9998,[::1]:1", ("a", "b:9998", "[::1]:1")),
        (
            "monitor",
            "--central-host",
            "a,a:1,[::1],[fe80::1%eth0]",
            ("a", "a:1", "[::1]", "[fe80::1%eth0]"),
        ),
        ("driver", "--central-url", "http://[::1]:8000/", ("http://[::1]:8000",)),
        ("driver", "--central-url", "https://central.example.", ("https://central.example.",)),
        ("driver", "--central-url", "https://c.example/evd/", ("https://c.example/evd",)),
        ("driver", "--central-url", "http://a, http://b:1/", ("http://a", "http://b:1")),
        ("driver", "--central-url", "http://a,https://a", ("http://a", "https://a")),
        ("driver", "--central-url", "http://a/x://:y,http://a", ("http://a/x://:y", "http://a")),
        ("driver", "--request-interval", "0", 0.0),
        ("central", "--http-rate", "0", 0.0),
        ("central", "--http-proxies", "10.0.0.0/8, ::1", ("10.0.0.0/8", "::1/128")),
        ("central", "--auth", "Required", "required"),
        ("engine", "--insecure", "yes", True),
        ("engine", "--euro-rate", "0", 0.0),
        ("engine", "--location", "Málaga, C/ Larios 5", "Málaga, C/ Larios 5"),
    ],
)
def test_good_values(name: str, flag: str, text: str, value: object) -> None:
    """Proves: what is right is taken, and brought into one form."""
    parse, required = PARSERS[name]
    field = flag.removeprefix("--").replace("-", "_")
    config = attributes(parse([*required, flag, text], {}))
    assert config.get(field, config.get(field + "_s")) == value


BAD = [
    ("engine", "--cp-id", ["", "-x", "CP 1", "a" * 33, "é", "a/b", "CP-1\n"]),
    ("driver", "--driver-id", ["", ".x", "a" * 65, "a:b"]),
    ("engine", "--health-port", ["0", "-1", "65536", "x", "8001.0", "8_001", "", "٣"]),
    ("driver", "--http-port", ["-1", "65536", "x"]),
    ("monitor", "--metrics-port", ["-1", "70000"]),
    ("engine", "--kw-rate", ["0", "-1", "nan", "inf", "22kW", "", "1e400", "1_0", "100000"]),
    ("engine", "--euro-rate", ["-0.01", "nan", "inf", "free", "5000"]),
    ("engine", "--telemetry-interval", ["0", "-1", "nan", "inf", "1e99"]),
    ("engine", "--session-seconds", ["0", "-5", "nan"]),
    ("engine", "--session-buffer-size", ["0", "-1", "1.5", "x"]),
    ("engine", "--location", ["", "a\nb", "x" * 201]),
    ("monitor", "--failure-threshold", ["0", "-3", "3.0", "nan"]),
    ("monitor", "--cp-e-host", ["", "a b", "http://x", "-a", "a..b", "a" * 64, "a." * 128]),
    ("central", "--http-host", [":::::", "::1::2", "1:2", "[::1]", "::1%", "::1%a/b", "::1%a b"]),
    ("central", "--http-host", ["1.2.3", "256.0.0.1", "127.0.0.1.", "0x7f000001", "127.1", "."]),
    ("central", "--listen-host", ["h\u00f6st", "a,b", "a@b", "a:80", "\u0661.0.0.1", " a", "a\n"]),
    ("engine", "--metrics-host", ["::ffff:1.2.3", "12345::", "::g", "1.2.3.4:80", "*"]),
    ("monitor", "--central-host", ["", ",", "a,", ",a", "a,,b", "a b", "http://a", "a/b"]),
    ("monitor", "--central-host", ["a:0", "a:65536", "a:x", "a:", "a,b:", ":1", "a:1:2", "u@a"]),
    ("monitor", "--central-host", ["[::1", "[a]", "[]", "[::1]x", "::1:99999", "1.2.3"]),
    ("monitor", "--central-host", ["a,a", "a,b,A", "a.,a", "::1,[0:0::1]", "a:1,A:1"]),
    ("monitor", "--central-host", [",".join(f"h{number}" for number in range(9))]),
    ("monitor", "--reconnect-delay-max", ["0", "inf"]),
    ("central", "--heartbeat-timeout", ["0", "-1", "nan", "inf", "soon", " 3"]),
    ("central", "--restart-grace", ["-1", "nan", "inf"]),
    ("central", "--kafka-bootstrap", ["", "localhost", "a:0", "a:99999", "a:1,,b:2", "a:b", ":1"]),
    ("central", "--kafka-bootstrap", ["::1:9092", "[::1]", "[::1", "[a]:1", "[:::::]:1", "a:1:2"]),
    ("driver", "--kafka-bootstrap", ["u:p@h:1", "h:\u0661", "h: 1", "h:+1", "1.2.3:1", "kafka://h:1"]),
    ("central", "--kafka-fetch-wait", ["0", "-1", "nan"]),
    ("central", "--db-url", ["", "mysql://h/d", "sqlite://", "sqlite:///:memory:", "central.db"]),
    ("central", "--db-url", ["postgresql+psycopg://", "postgresql+psycopg://h:0", "sqlite:/// a"]),
    ("central", "--db-url", ["postgresql+psycopg://u:p@h:99999/d", "postgresql+psycopg://[h]/d"]),
    ("central", "--db-url", ["postgresql+psycopg://u@:5432/d", "postgresql+psycopg://1.2.3/d"]),
    ("central", "--db-url", ["postgresql+psycopg://[::1/d"]),
    ("central", "--http-hosts", ["", "a,", "*", "*.a", "a:80", "http://a", "[::1]", "a b", "u@a"]),
    ("central", "--feed-origins", ["*", "null", "example.org", "https://h/path", "ftp://h"]),
    ("central", "--feed-origins", ["http://", "http://h/", "http://u@h", "http://h:0", "http://h?"]),
    ("central", "--feed-origins", ["http://[::1%lo]", "http://[1.2.3.4]", "http://h,", "http://h:"]),
    ("driver", "--central-url", ["", "localhost:8000", "ftp://h", "http://h:0", "http://h/?q"]),
    ("driver", "--central-url", ["http://", "http:///p", "http:h", "http://:80", "http://[:::::]:1"]),
    ("driver", "--central-url", ["http://u:p@h", "http://h/#x", "http://h/a b", "http://h\t.x"]),
    ("driver", "--central-url", ["http://h\u00f6st", "http://::1", "http://[::1", "http://h:80:80"]),
    ("driver", "--central-url", ["http://h:x", "http://h:", "http://1.2.3", "http://h\\@x"]),
    ("driver", "--central-url", ["http://a,", ",http://a", "http://a,,http://b", "http://a,b"]),
    ("driver", "--central-url", ["http://a,http://a/", "http://a,http://A.:80", "http://a,ftp://b"]),
    ("driver", "--requests-file", [""]),
    ("central", "--insecure", ["", "1", "true"]),
    ("central", "--auth", ["", "on"]),
    ("central", "--http-rate", ["-1", "nan", ""]),
    ("central", "--http-burst", ["0", "1.5"]),
    ("driver", "--http-proxies", ["", "h", "10.0.0.1/8", "10.0.0.0/33", "10.0.0.1,"]),
    ("driver", "--color", ["blue", ""]),
    ("broker", "--listen-port", ["0", "99999"]),
    ("broker", "--log-level", ["loud", ""]),
    ("broker", "--log-format", ["xml"]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "flag", "text"), [(name, flag, text) for name, flag, texts in BAD for text in texts]
)
def test_bad_values_name_the_flag_or_the_variable(name: str, flag: str, text: str) -> None:
    """Proves: a value out of its form is refused where it enters, by the name that was used."""
    parse, required = PARSERS[name]
    with pytest.raises(ConfigError, match=f"^{flag}: ") as caught:
        parse([*required, f"{flag}={text}"], {})
    assert "\n" not in str(caught.value)
    if text:
        variable = parse(required, {}).PREFIX + flag[2:].replace("-", "_").upper()
        without = [] if flag in required else required
        with pytest.raises(ConfigError, match=f"^{variable}: "):
            parse(without, {variable: text})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a,,b", "must have an address before and after each comma, not 'a,,b'"),
        ("a,b,A.", "must name each address once, not 'a,b,A.'"),
        ("a,b:x", "must have a number as its port, not 'a,b:x'"),
        ("a:9998,a", "must name each address once, also one without a port"),
    ],
)
def test_a_wrong_list_of_centrals_is_one_sentence(text: str, says: str) -> None:
    """Proves: the flag of several addresses says what is wrong with them, and which flag it is."""
    flags = ["--cp-id", "CP-001", "--central-port", "9998", "--central-host", text]
    with pytest.raises(ConfigError) as caught:
        monitor_config(flags, {})
    assert str(caught.value) == f"--central-host: {says}"


_HOSTS = st.sampled_from(["a", "b.example", "10.0.0.1", "::1", "fe80::1%eth0"])
_PORTS = st.one_of(st.none(), st.integers(1, 65_535))


@given(st.lists(st.tuples(_HOSTS, _PORTS), min_size=1, max_size=8), st.integers(1, 65_535))
def test_each_central_of_a_list_has_its_port(
    given_hosts: list[tuple[str, int | None]], port: int
) -> None:
    """Proves: an address without a port has that of --central-port, in the order that was given;
    two that come to the same are refused."""
    texts = [
        name if number is None else f"{bracketed(name)}:{number}" for name, number in given_hosts
    ]
    expected = [f"{bracketed(name)}:{number or port}" for name, number in given_hosts]
    flags = [*PARSERS["monitor"][1], f"--central-port={port}", "--central-host", ",".join(texts)]
    if len({*expected}) < len(expected):
        with pytest.raises(ConfigError, match=r"^--central-host: must name each"):
            monitor_config(flags, {})
    else:
        assert monitor_config(flags, {}).centrals == tuple(expected)


def test_a_state_directory_that_no_address_can_hold() -> None:
    """Proves: Central's database is in its state directory, or nowhere."""
    with pytest.raises(ConfigError, match=r"^--state-dir: '\?' "):
        central_config(["--state-dir", "a?b"], {})
    assert central_config(["--state-dir", "a?b", "--db-url", "sqlite:///c"], {}).db_url


def test_a_password_is_not_repeated() -> None:
    """Proves: an error about an address does not tell its password to the log."""
    for parse, argv in (
        (central_config, ["--db-url", "mysql://user:hunter2@host/evd"]),
        (central_config, ["--kafka-bootstrap", "user:hunter2@host:9092"]),
        (driver_config, ["--driver-id", "d", "--central-url", "http://user:hunter2@host"]),
    ):
        with pytest.raises(ConfigError) as caught:
            parse(argv, {})
        assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("argv", "named"),
    [
        ([], "--cp-id: is required (or the variable CP_ENGINE_CP_ID)"),
        (["--cp-id"], "--cp-id: expected one argument"),
        (["--cp-id", "CP-001", "--http-port", "1"], "unrecognized arguments: --http-port 1"),
        (["--cp-id", "CP-001", "--kw", "7"], "unrecognized arguments: --kw 7"),
        (["--cp-id", "CP-001", "more"], "unrecognized arguments: more"),
    ],
)
def test_wrong_use(argv: list[str], named: str) -> None:
    """Proves: a missing or unknown flag is named, and no flag may be abbreviated."""
    with pytest.raises(ConfigError) as caught:
        engine_config(argv, {})
    assert str(caught.value) == named


@given(st.sampled_from(sorted(PARSERS)), st.lists(st.text(max_size=20), max_size=4))
def test_any_arguments_give_a_configuration_or_one_sentence(name: str, texts: list[str]) -> None:
    """Proves: no text at all gets a traceback: it is accepted, or refused with ConfigError."""
    parse, required = PARSERS[name]
    config_class = type(parse(required, {}))
    argv = list(required)
    for flag, text in zip(flags_of(config_class), texts, strict=False):
        argv.append(f"{flag.name}={text}")
    try:
        assert isinstance(parse(argv, {}), config_class)
    except ConfigError as error:
        assert str(error).startswith("--")


@pytest.mark.parametrize("name", PARSERS)
def test_help_shows_variable_default_and_unit(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Proves: --help tells each flag's variable, default and unit, and ends with code 0."""
    parse, required = PARSERS[name]
    with pytest.raises(SystemExit) as caught:
        parse(["--help"], {})
    assert caught.value.code == 0
    shown = capsys.readouterr().out
    for flag in flags_of(type(parse(required, {}))):
        assert flag.name in shown
        default = "required" if flag.required else f"default {flag.default}"
        assert f"[{flag.variable}, {default}]" in shown
        if flag.field.endswith("_s"):
            assert flag.default.endswith(" s")


@pytest.mark.parametrize("name", PARSERS)
def test_version_is_the_release(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Proves: --version tells program and release, needs no other flag, and ends with code 0."""
    parse, required = PARSERS[name]
    with pytest.raises(SystemExit) as caught:
        parse(["--version"], {})
    assert caught.value.code == 0
    program = type(parse(required, {})).PROGRAM
    assert capsys.readouterr().out == f"{program} {VERSION}\n"


def test_a_newline_in_an_error_stays_in_its_line(capfd: pytest.CaptureFixture[str]) -> None:
    """Proves: a value with line breaks or control bytes cannot forge a second line."""
    assert refuse(ConfigError("a\nb\x1b[31m\r\udc80")) == 2
    assert capfd.readouterr().err.endswith(": a\\nb\\x1b[31m\\r\\udc80\n")


def test_config_imports_little() -> None:
    """Proves: reading flags costs an engine neither a web server, a database nor a loop."""
    code = "import sys, evd.config, evd.logs; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"trio", "litestar", "sqlalchemy", "prometheus_client", "confluent_kafka", "cattrs"}
    assert not heavy & set(ran.stdout.split())


def test_state_directory_is_made(tmp_path: Path) -> None:
    """Proves: a missing state directory is made, and one that cannot be is an error of its flag."""
    wanted = tmp_path / "var" / "engine" / "CP-001"
    make_state_dir(wanted)
    make_state_dir(wanted)
    assert wanted.is_dir()
    (tmp_path / "file").touch()
    for bad in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(ConfigError, match=r"^--state-dir: "):
            make_state_dir(bad)


def test_requests_file_is_read(tmp_path: Path) -> None:
    """Proves: a changed file has another digest: a driver knows that its place no longer fits."""
    path = tmp_path / "requests.txt"
    path.write_text("# first\nCP-001\nany\n")
    read = read_requests_file(path)
    assert [(line.line_number, line.cp_id) for line in read.lines] == [(2, "CP-001"), (3, None)]
    assert read == read_requests_file(path)
    path.write_text("# first\nCP-002\nany\n")
    assert read_requests_file(path).digest != read.digest


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"CP-001\nno such\n", "line 2: cp_id must be"),
        (b"CP-001\n\n\xff\n", "line 3: is not UTF-8"),
    ],
)
def test_bad_requests_file_names_file_and_line(tmp_path: Path, content: bytes, why: str) -> None:
    """Proves: what is wrong in a requests file is said with the file's name and the line."""
    path = tmp_path / "requests.txt"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        read_requests_file(path)
    assert "requests.txt" in str(caught.value)
    assert why in str(caught.value)


def test_missing_requests_file(tmp_path: Path) -> None:
    """Proves: a requests file that is not there, or is none, is an error of its flag."""
    for path in (tmp_path / "none.txt", tmp_path):
        with pytest.raises(ConfigError, match=r"^--requests-file: "):
            read_requests_file(path)
