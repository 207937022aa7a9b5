"""Safe by default: a program that could be reached or overheard from outside is not started.

On loopback nothing is asked for.  Beyond it a port needs all of its protection, or the operator's
word --insecure; and no token leaves this host in clear, whatever the operator says.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Final
from urllib.parse import parse_qs, quote, urlsplit

import attrs

from evd.addresses import host_and_port, is_loopback
from evd.config import (
    BrokerConfig,
    CentralConfig,
    DriverConfig,
    EngineConfig,
    HttpConfig,
    MetricsConfig,
    MonitorConfig,
    ProgramConfig,
    ServingConfig,
    WatchedConfig,
)
from evd.flags import ConfigError

OFF: Final = "off"
REQUIRED: Final = "required"
# The modes of PostgreSQL in which the server has proved its name, and in which all is encrypted.
SSL_CHECKED: Final = "verify-full"
SSL_MODES: Final = frozenset({"require", "verify-ca", SSL_CHECKED})


@attrs.frozen
class Opening:
    """A port beyond loopback, by the flag of its host, and the protection that it lacks."""

    flag: str
    host: str
    missing: Sequence[str]

    def __str__(self) -> str:
        if not self.missing:
            return f"{self.flag}: {self.host} is beyond loopback, where this port has no protection"
        missing = " and ".join(self.missing)
        return f"{self.flag}: {self.host} is beyond loopback and needs {missing}"


def auth_of(config: HttpConfig) -> str:
    """The meaning of --auth, also where it is not given."""
    return config.auth or OFF


def check(config: ProgramConfig) -> list[Opening]:
    """The ports that --insecure lets be open as they are; ConfigError says what is missing."""
    if isinstance(config, ServingConfig):
        _check_pair(config)
    if isinstance(config, HttpConfig) and config.http_proxies and auth_of(config) != REQUIRED:
        raise ConfigError("--http-proxies: needs --auth required")
    found = [opening for opening in _openings(config) if _is_open(config, opening)]
    if found and not config.insecure:
        link = ", or" if found[0].missing else ": give"
        raise ConfigError(f"{found[0]}{link} --insecure where no stranger can reach it")
    match config:
        case CentralConfig():
            _check_database(config)
        case MonitorConfig():
            _check_monitor(config)
        case DriverConfig():
            _check_driver(config)
    return found


def _check_pair(config: ServingConfig) -> None:
    if config.tls_cert is not None and config.tls_key is None:
        raise ConfigError("--tls-key: is required with --tls-cert")
    if config.tls_key is not None and config.tls_cert is None:
        raise ConfigError("--tls-cert: is required with --tls-key")


def _openings(config: ProgramConfig) -> Iterator[Opening]:
    """Each port that may be beyond loopback."""
    match config:
        case BrokerConfig():
            yield Opening("--listen-host", config.listen_host, ())
        case CentralConfig():
            missing = [*_no_tls(config), *_no_auth(config)]
            yield Opening("--listen-host", config.listen_host, missing)
            yield Opening("--http-host", config.http_host, missing)
        case EngineConfig():
            missing = [*_no_tls(config), *(["--token-file"] if config.token_file is None else [])]
            yield Opening("--health-host", config.health_host, missing)
        case DriverConfig() if config.http_port:
            missing = [*_no_tls(config), *_no_auth(config)]
            yield Opening("--http-host", config.http_host, missing)
    if isinstance(config, MetricsConfig) and config.metrics_port:
        missing = []
        if isinstance(config, WatchedConfig):
            missing = [*_no_tls(config)]
            if config.metrics_token_file is None:
                missing.append("--metrics-token-file")
        yield Opening("--metrics-host", config.metrics_host, missing)


def _is_open(config: ProgramConfig, opening: Opening) -> bool:
    return bool(opening.missing or isinstance(config, BrokerConfig)) and not is_loopback(
        opening.host
    )


def _no_tls(config: ServingConfig) -> Iterator[str]:
    if config.tls_cert is None:
        yield "--tls-cert"


def _no_auth(config: HttpConfig) -> Iterator[str]:
    if auth_of(config) != REQUIRED:
        yield "--auth required"


def _check_monitor(config: MonitorConfig) -> None:
    if config.token_file is None or config.tls_ca is not None:
        return
    centrals = [("--central-host", host_and_port(each)[0]) for each in config.centrals]
    for flag, host in (*centrals, ("--cp-e-host", config.cp_e_host)):
        if not is_loopback(host):
            raise ConfigError(
                f"--tls-ca: is required with --token-file: {flag} {host} is beyond loopback, and no"
                " token is sent there in clear"
            )


def _check_driver(config: DriverConfig) -> None:
    is_required = auth_of(config) == REQUIRED
    if is_required and config.http_port and config.token_file is None:
        raise ConfigError(
            "--token-file: is required with --auth required: its page is opened by it"
        )
    if config.token_file is None and not is_required:
        return
    for url in config.central_url:
        parts = urlsplit(url)
        host, _ = host_and_port(parts.netloc)
        if parts.scheme != "https" and not is_loopback(host):
            raise ConfigError(
                f"--central-url: {host} is beyond loopback: with --token-file or --auth required it"
                " must begin with https://"
            )


def _check_database(config: CentralConfig) -> None:
    address = _DatabaseAddress.of(config.db_url)
    is_required = auth_of(config) == REQUIRED
    if config.db_password_file is not None:
        if address is None:
            raise ConfigError("--db-password-file: a file of SQLite has no password")
        if address.has_password:
            raise ConfigError("--db-password-file: --db-url has a password already")
        if not address.has_user:
            raise ConfigError("--db-password-file: --db-url names no user whose password it is")
    if address is None:
        return
    if address.has_password and is_required:
        raise ConfigError(
            "--db-url: a password in it may be read by others: with --auth required it stands in"
            " --db-password-file"
        )
    has_password = address.has_password or config.db_password_file is not None
    if all(is_loopback(host) for host in address.hosts):
        return
    if is_required and address.ssl_mode != SSL_CHECKED:
        raise ConfigError(
            f"--db-url: {address.shown} is beyond loopback: with --auth required it must have"
            f" sslmode={SSL_CHECKED}"
        )
    if has_password and address.ssl_mode not in SSL_MODES and not config.insecure:
        raise ConfigError(
            f"--db-url: {address.shown} is beyond loopback, and the password would go there in"
            f" clear: give it sslmode={SSL_CHECKED}, or --insecure"
        )


_DATABASE: Final = re.compile(
    r"postgresql\+psycopg://(?:(?P<user>[^:/]*)(?P<password>:[^@]*)?@)?(?P<rest>.*)", re.DOTALL
)


@attrs.frozen
class _DatabaseAddress:
    """The parts of PostgreSQL's address that protection depends on; no hosts: a Unix socket."""

    hosts: Sequence[str]
    has_user: bool
    has_password: bool
    ssl_mode: str

    @property
    def shown(self) -> str:
        return ", ".join(self.hosts)

    @classmethod
    def of(cls, db_url: str) -> "_DatabaseAddress | None":
        found = _DATABASE.fullmatch(db_url)
        if found is None:
            return None
        rest, _, query_text = found["rest"].partition("?")
        authority = rest.partition("/")[0]
        query = parse_qs(query_text)
        hosts = [host_and_port(authority)[0]] if authority else []
        # Query's host is one more way to name it: a folder of a socket, or several hosts.
        named = [part for each in query.get("host", []) for part in each.split(",")]
        hosts += [each.partition(":")[0] for each in named if not each.startswith("/")]
        return cls(
            hosts,
            bool(found["user"]),
            bool(found["password"] or "password" in query),
            query.get("sslmode", [""])[-1],
        )


def with_password(db_url: str, password: str | None) -> str:
    """The database's address with the password of its user in it."""
    found = _DATABASE.fullmatch(db_url)
    if password is None or found is None:
        return db_url
    return f"postgresql+psycopg://{found['user']}:{quote(password, safe='')}@{found['rest']}"
