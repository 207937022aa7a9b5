"""The settings of each program: one class for a program, one field for a flag.

`<program>_config(argv, env)` returns it checked and complete, or raises `ConfigError`.
Fields are named like the flags; durations end in `_s`.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import attrs

from evd import addresses
from evd.adapters.files.regular_file import open_regular
from evd.core.driver.requests_file import RequestLine, RequestsFileError, parse_requests
from evd.flags import (
    AUTH,
    BOOTSTRAP,
    COLOR,
    COUNT,
    CP_ID,
    DB_URL,
    DRIVER_ID,
    DURATION,
    DURATION_OR_NONE,
    EURO_RATE,
    HOST,
    HOSTS,
    KW,
    LOCATION,
    LOG_FORMAT,
    LOG_LEVEL,
    NETWORKS,
    ORIGINS,
    PATH,
    PORT,
    PORT_OR_OFF,
    RATE,
    SERVERS,
    SESSION_DURATION,
    SWITCH,
    URLS,
    YES_OR_NO,
    ConfigError,
    FlagTable,
    flag,
    parsed,
    read_flags,
)

REQUESTS_FILE_BYTES_MAX = 4 * 1024 * 1024
CREDENTIAL_BYTES_MAX = 4096
# The open files that are left for all besides monitors: clients of the feed and of HTTP, those that
# are told that there is no place, Kafka, the database.
FILES_RESERVED = 6_000

_HTTP_HOSTS_TEXT = (
    "further names that its HTTP answers to, besides addresses and this machine's own"
)
_TLS_CA_TEXT = "certificates that vouch for those who are dialed, PEM"
_KAFKA_TEXT = "Kafka's brokers"
_FETCH_WAIT_TEXT = "how long a fetch may wait at the broker for new messages"


@attrs.frozen(kw_only=True, slots=False)
class ProgramConfig:
    """The settings that every program has."""

    PROGRAM: ClassVar[str]
    PREFIX: ClassVar[str]
    COMPONENT: ClassVar[str]

    log_level: str = flag(LOG_LEVEL, "log this and what is graver", default="INFO")
    log_format: str = flag(LOG_FORMAT, "a line for people or an object a line", default="text")
    insecure: bool = flag(
        SWITCH, "listen beyond loopback also where the protection is not complete", default=False
    )

    @property
    def component(self) -> str:
        """The name that this process has in its log lines."""
        return self.COMPONENT.format_map(vars(self))


@attrs.frozen(kw_only=True, slots=False)
class MetricsConfig(ProgramConfig):
    """The settings for metrics, of a program without an HTTP port of its own."""

    metrics_host: str = flag(HOST, "where --metrics-port listens", default="127.0.0.1")
    metrics_port: int = flag(PORT_OR_OFF, "HTTP for /metrics and /health; 0 = off", default=0)


@attrs.frozen(kw_only=True, slots=False)
class ServingConfig(ProgramConfig):
    """The certificate of a program whose ports may be beyond loopback."""

    tls_cert: Path | None = flag(
        PATH, "its certificate and those above it, PEM; its ports speak TLS", default=None
    )
    tls_key: Path | None = flag(PATH, "the certificate's key, PEM, 0600", default=None)


@attrs.frozen(kw_only=True, slots=False)
class WatchedConfig(MetricsConfig, ServingConfig):
    """The settings of a daemon whose metrics have a port and a token of their own."""

    metrics_token_file: Path | None = flag(
        PATH, "the bearer token that /metrics wants, 0600", default=None
    )


@attrs.frozen(kw_only=True, slots=False)
class HttpConfig(ServingConfig):
    """The rules for the callers of a program with HTTP for people."""

    auth: str | None = flag(
        AUTH,
        "off: whoever reaches a port may do all; warn: counts what required refuses",
        shown="off where all that listens is loopback, and with --insecure",
        default=None,
    )
    http_hosts: tuple[str, ...] = flag(HOSTS, _HTTP_HOSTS_TEXT, default=())
    http_rate: float | None = flag(
        RATE,
        "requests a second of each token, and of each address before it; 0 = any number",
        shown="0 with --auth off, else 50",
        default=None,
    )
    http_burst: int = flag(COUNT, "requests at once, above --http-rate", default=200)
    http_proxies: tuple[str, ...] = flag(
        NETWORKS, "whose X-Forwarded-For is believed; needs --auth required", default=()
    )


@attrs.frozen(kw_only=True, slots=False)
class StatefulConfig(ProgramConfig):
    """The settings of a program that keeps something on disk."""

    state_dir: Path = flag(
        PATH,
        "where it keeps what must outlive it",
        shown="under systemd $STATE_DIRECTORY, else ./var/<daemon>/<id>",
    )


@attrs.frozen(kw_only=True, slots=False)
class BrokerConfig(MetricsConfig):
    """The embedded broker: speaks Kafka's protocol, keeps nothing over a restart."""

    PROGRAM = "evd-broker"
    PREFIX = "EVD_BROKER_"
    COMPONENT = "Broker"

    listen_host: str = flag(HOST, "where --listen-port listens", default="127.0.0.1")
    listen_port: int = flag(PORT, "Kafka's protocol", default=9092)


@attrs.frozen(kw_only=True, slots=False)
class CentralConfig(StatefulConfig, HttpConfig):
    """Central: knows every charging point, decides every request, keeps every session."""

    PROGRAM = "evd-central"
    PREFIX = "CENTRAL_"
    COMPONENT = "Central"

    kafka_bootstrap: str = flag(BOOTSTRAP, _KAFKA_TEXT, default="localhost:9092")
    kafka_fetch_wait_s: float = flag(DURATION, _FETCH_WAIT_TEXT, default=0.005)
    listen_host: str = flag(HOST, "where --listen-port listens", default="127.0.0.1")
    listen_port: int = flag(PORT, "framed TCP for monitors", default=9999)
    monitors_max: int | None = flag(
        COUNT,
        "connections at a time on that port; one more is answered `full`",
        shown=f"the limit of open files, less {FILES_RESERVED} or half of it",
        default=None,
    )
    http_host: str = flag(HOST, "where --http-port and --feed-port listen", default="127.0.0.1")
    http_port: int = flag(PORT, "the HTTP API", default=8000)
    feed_port: int = flag(PORT, "the WebSocket status feed", default=8765)
    cps_max: int = flag(COUNT, "charging points that may be known", default=20_000)
    feed_origins: tuple[str, ...] = flag(
        ORIGINS, "further origins whose pages may read the feed", default=()
    )
    db_url: str = flag(
        DB_URL,
        "the database: sqlite:///<file> or postgresql+psycopg://…",
        shown="the credential db-url of its unit, else sqlite:///<state dir>/central.db",
    )
    db_password_file: Path | None = flag(
        PATH, "the password of the user in --db-url, 0600", default=None
    )
    heartbeat_timeout_s: float = flag(
        DURATION, "without a frame for so long, a monitor is KO", default=3.0
    )
    start_timeout_s: float = flag(DURATION, "for a START to be confirmed", default=5.0)
    engine_gone_after_s: float = flag(
        DURATION,
        "of an engine's port refusing: its session is closed as an estimate",
        default=30.0,
    )
    session_lost_after_s: float = flag(
        DURATION, "without any report of a session: it is closed as an estimate", default=900.0
    )
    restart_grace_s: float = flag(
        DURATION_OR_NONE,
        "after Central's start for monitors to come back before a waiting request is decided",
        default=3.0,
    )


@attrs.frozen(kw_only=True, slots=False)
class EngineConfig(StatefulConfig, WatchedConfig):
    """The engine of one charging point: its machine, its meter, its sessions on disk."""

    PROGRAM = "evd-engine"
    PREFIX = "CP_ENGINE_"
    COMPONENT = "CP_E:{cp_id}"

    cp_id: str = flag(CP_ID, "the charging point that this is")
    kafka_bootstrap: str = flag(BOOTSTRAP, _KAFKA_TEXT, default="localhost:9092")
    kafka_fetch_wait_s: float = flag(DURATION, _FETCH_WAIT_TEXT, default=0.02)
    health_host: str = flag(HOST, "where --health-port listens", default="127.0.0.1")
    health_port: int = flag(PORT, "framed TCP for the monitor", default=8001)
    token_file: Path | None = flag(
        PATH, "its monitor's token, which a PING beyond loopback must carry, 0600", default=None
    )
    kw_rate: float = flag(KW, "the power that it supplies", default=22.0)
    euro_rate: float = flag(EURO_RATE, "the price", default=0.30)
    location: str | None = flag(LOCATION, "where the charging point stands", default=None)
    telemetry_interval_s: float = flag(DURATION, "between two readings", default=1.0)
    session_seconds: float = flag(SESSION_DURATION, "that a session lasts", default=10.0)
    session_buffer_size: int = flag(COUNT, "unconfirmed sessions that are kept", default=100)
    retry_interval_s: float = flag(
        DURATION, "at the most between sends of an unconfirmed session", default=30.0
    )


@attrs.frozen(kw_only=True, slots=False)
class MonitorConfig(StatefulConfig, WatchedConfig):
    """The monitor of one charging point: asks its engine, tells Central."""

    PROGRAM = "evd-monitor"
    PREFIX = "CP_MONITOR_"
    COMPONENT = "CP_M:{cp_id}"

    cp_id: str = flag(CP_ID, "the charging point that this watches")
    cp_e_host: str = flag(HOST, "the engine's host", default="127.0.0.1")
    cp_e_port: int = flag(PORT, "the engine's health port", default=8001)
    central_host: tuple[str, ...] = flag(
        SERVERS,
        "Central's host; several are tried in turn, first the one that served last",
        shown="127.0.0.1",
        default=("127.0.0.1",),
    )
    central_port: int = flag(
        PORT, "Central's port for monitors, where --central-host names none", default=9999
    )
    tls_ca: Path | None = flag(PATH, _TLS_CA_TEXT, default=None)
    token_file: Path | None = flag(PATH, "its token for Central, 0600", default=None)
    health_interval_s: float = flag(DURATION, "between two health checks", default=1.0)
    failure_threshold: int = flag(COUNT, "failed checks in a row until KO", default=3)
    reconnect_delay_max_s: float = flag(
        DURATION, "at the most between two attempts to reach Central", default=2.0
    )

    @property
    def centrals(self) -> tuple[str, ...]:
        """Each Central as `host:port`."""
        return tuple(addresses.with_port(each, self.central_port) for each in self.central_host)


@attrs.frozen(kw_only=True, slots=False)
class DriverConfig(StatefulConfig, WatchedConfig, HttpConfig):
    """A driver: asks for energy and is told what becomes of it."""

    PROGRAM = "evd-driver"
    PREFIX = "DRIVER_"
    COMPONENT = "Driver:{driver_id}"

    driver_id: str = flag(DRIVER_ID, "the driver that this is")
    kafka_bootstrap: str = flag(BOOTSTRAP, _KAFKA_TEXT, default="localhost:9092")
    kafka_fetch_wait_s: float = flag(DURATION, _FETCH_WAIT_TEXT, default=0.02)
    requests_file: Path | None = flag(
        PATH, "charging points to ask for, one a line; 'any' lets Central choose", default=None
    )
    requests_repeat: str = flag(
        YES_OR_NO, "after the file's last line comes its first again", default="no"
    )
    request_interval_s: float = flag(
        DURATION_OR_NONE, "between the end of one request and the next", default=4.0
    )
    request_timeout_s: float = flag(
        DURATION, "without any answer: the request is given up", default=10.0
    )
    http_host: str = flag(HOST, "where --http-port listens", default="127.0.0.1")
    http_port: int = flag(PORT_OR_OFF, "the driver's dashboard; 0 = none", default=0)
    central_url: tuple[str, ...] = flag(
        URLS,
        "Central's HTTP API; several are tried in turn, first the one that served last",
        shown="http://localhost:8000",
        default=("http://localhost:8000",),
    )
    tls_ca: Path | None = flag(PATH, _TLS_CA_TEXT, default=None)
    token_file: Path | None = flag(
        PATH, "its token for Central, which its own page takes as well, 0600", default=None
    )
    color: str = flag(COLOR, "colours in its lines; auto: on a terminal", default="auto")


def broker_config(argv: Sequence[str], env: Mapping[str, str]) -> BrokerConfig:
    """The broker's configuration; ConfigError names what is wrong."""
    return BrokerConfig(**read_flags(BrokerConfig, argv, env))


def central_config(argv: Sequence[str], env: Mapping[str, str]) -> CentralConfig:
    """Central's configuration; ConfigError names what is wrong."""
    values = _with_state_dir(CentralConfig, argv, env, "central")
    if "db_url" not in values and (given := _credential(env, "db-url")):
        values["db_url"] = parsed(DB_URL, given, "$CREDENTIALS_DIRECTORY/db-url")
    if "db_url" not in values:
        path = values["state_dir"] / "central.db"
        if "?" in str(path):
            raise ConfigError("--state-dir: '?' cannot stand in the address of Central's database")
        values["db_url"] = f"sqlite:///{path}"
    return CentralConfig(**values)


def monitors_allowed(files_max: int) -> int:
    """The default of --monitors-max where `files_max` files may be open."""
    return max(1, files_max - min(FILES_RESERVED, files_max // 2))


def engine_config(argv: Sequence[str], env: Mapping[str, str]) -> EngineConfig:
    """An engine's configuration; ConfigError names what is wrong."""
    return EngineConfig(**_with_state_dir(EngineConfig, argv, env, "engine", "cp_id"))


def monitor_config(argv: Sequence[str], env: Mapping[str, str]) -> MonitorConfig:
    """A monitor's configuration; ConfigError names what is wrong."""
    config = MonitorConfig(**_with_state_dir(MonitorConfig, argv, env, "monitor", "cp_id"))
    try:
        addresses.check_once(config.centrals)
    except ValueError as error:
        raise ConfigError(f"--central-host: {error}, also one without a port") from None
    return config


def driver_config(argv: Sequence[str], env: Mapping[str, str]) -> DriverConfig:
    """A driver's configuration; ConfigError names what is wrong."""
    return DriverConfig(**_with_state_dir(DriverConfig, argv, env, "driver", "driver_id"))


def _with_state_dir(
    table: type[FlagTable],
    argv: Sequence[str],
    env: Mapping[str, str],
    daemon: str,
    id_field: str | None = None,
) -> dict[str, Any]:
    values = read_flags(table, argv, env)
    # systemd names every StateDirectory= of the unit, with colons between; ours is the first.
    given = env.get("STATE_DIRECTORY", "").partition(":")[0]
    own = Path("var", daemon, values[id_field]) if id_field else Path("var", daemon)
    values.setdefault("state_dir", Path(given) if given else own)
    return values


def _credential(env: Mapping[str, str], name: str) -> str:
    """The text of a credential that systemd hands over; empty where there is none."""
    folder = env.get("CREDENTIALS_DIRECTORY")
    if not folder:
        return ""
    path = Path(folder, name)
    try:
        with open(open_regular(path), "rb") as file:
            return file.read(CREDENTIAL_BYTES_MAX).decode().strip()
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise ConfigError(f"$CREDENTIALS_DIRECTORY/{name}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"$CREDENTIALS_DIRECTORY/{name}: is no UTF-8") from None


def make_state_dir(path: Path) -> None:
    """Create the state directory where it is missing; ConfigError names its flag.

    Nothing in it may be a FIFO or a device: to open it as one of our files could take for ever.
    """
    try:
        path.mkdir(mode=0o750, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"--state-dir: cannot make {str(path)!r}: {error.strerror}") from None
    try:
        for entry in path.iterdir():
            if entry.is_fifo() or entry.is_char_device() or entry.is_block_device():
                raise ConfigError(f"--state-dir: {str(entry)!r} is not a regular file")
    except OSError as error:
        raise ConfigError(f"--state-dir: cannot read {str(path)!r}: {error.strerror}") from None


def restrict_modes() -> None:
    """Make files 0640 and directories 0750 at the most, whatever umask the caller has."""
    os.umask(os.umask(0o027) | 0o027)


@attrs.frozen
class RequestsFile:
    """A requests file as it was read: its lines, and a digest by which a changed file is known."""

    digest: str
    lines: tuple[RequestLine, ...]


def read_requests_file(path: Path) -> RequestsFile:
    """The file's requests; ConfigError names the file, and the line where one is wrong."""
    # Loads OpenSSL, which only a driver with a file has to pay for.
    import hashlib

    try:
        with open(open_regular(path), "rb") as file:
            content = file.read(REQUESTS_FILE_BYTES_MAX + 1)
    except OSError as error:
        raise ConfigError(f"--requests-file: {str(path)!r}: {error.strerror}") from None
    if len(content) > REQUESTS_FILE_BYTES_MAX:
        raise ConfigError(
            f"--requests-file: {str(path)!r} has more than {REQUESTS_FILE_BYTES_MAX} bytes"
        )
    try:
        lines = parse_requests(content)
    except RequestsFileError as error:
        raise ConfigError(
            f"--requests-file: {str(path)!r} line {error.line_number}: {error.why}"
        ) from None
    return RequestsFile(hashlib.sha256(content).hexdigest(), lines)
