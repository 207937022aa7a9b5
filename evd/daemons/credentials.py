"""A program's certificates and secrets: read at its start, and again at each SIGHUP.

Where a new one is wrong the one before goes on: a slip at a renewal stops nobody.
"""

import hmac
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

import trio

from evd.adapters import tls
from evd.config import (
    CentralConfig,
    DriverConfig,
    EngineConfig,
    MonitorConfig,
    ProgramConfig,
    ServingConfig,
    WatchedConfig,
)
from evd.core.access.roles import Role
from evd.flags import ConfigError
from evd.logs import Repeats
from evd.secret_files import check_secret_file, read_bearer, read_secret, read_token

if TYPE_CHECKING:
    from evd.adapters.http.metrics import Metrics
    from evd.adapters.http.metrics_server import MetricsPort

T = TypeVar("T")

NOT_AFTER: Final = "evd_tls_not_after_seconds"
RENEWAL_FAILED: Final = "evd_tls_reload_failed"
PLAIN: Final = "evd_tls_plain_connections_total"
# Between two lines on clients without TLS.
PLAIN_LOG_S: Final = 60.0

logger = logging.getLogger(__name__)

Listeners = Sequence[trio.abc.Listener[trio.abc.Stream]]


class Held(Generic[T]):
    """The content of a flag's file; `load` reads it, and raises ConfigError."""

    def __init__(self, flag: str, load: Callable[[], T]) -> None:
        self.flag = flag
        self._load = load
        self.value = load()
        # Why the file can't be used as it is now; None where it is what `value` is.
        self.failure: str | None = None

    def is_stale(self) -> bool:
        """Whether its file has become wrong, and the value is what it held before."""
        return self.failure is not None

    def renew(self) -> None:
        """Read the file again; where it is wrong the value stays, and one line says so."""
        try:
            value = self._load()
            if _has_ended(value):
                raise ConfigError(f"{self.flag}: the time of the new certificate is over")
        except ConfigError as error:
            if self.failure != str(error):
                logger.error("%s: the one before goes on", error)
            self.failure = str(error)
            return
        self.value = value
        if self.failure is not None:
            logger.info("%s: its file is good again", self.flag)
        self.failure = None


class Credentials:
    """All that one program holds; ConfigError names the flag whose file is wrong."""

    def __init__(self, config: ProgramConfig) -> None:
        # So that a network that runs goes over to TLS one host after the other.
        self._takes_plain = config.insecure
        self._count_plain: Callable[[], object] = int
        self._repeats = Repeats(PLAIN_LOG_S)
        self.server: Held[tls.ServerSide] | None = None
        self.client: Held[tls.ClientSide] | None = None
        self.token: Held[str] | None = None
        self.metrics_token: Held[str] | None = None
        self.db_password: Held[str] | None = None
        if isinstance(config, ServingConfig) and config.tls_cert and config.tls_key:
            cert, key = config.tls_cert, config.tls_key
            self.server = Held("--tls-cert", lambda: _load_server(cert, key))
        if isinstance(config, MonitorConfig | DriverConfig) and config.tls_ca:
            ca = config.tls_ca
            self.client = Held("--tls-ca", lambda: _load_client(ca))
        if isinstance(config, EngineConfig | MonitorConfig | DriverConfig) and config.token_file:
            role = Role.DRIVER if isinstance(config, DriverConfig) else Role.MONITOR
            file = config.token_file
            self.token = Held("--token-file", lambda: read_token(file, "--token-file", role))
        if isinstance(config, WatchedConfig) and config.metrics_token_file:
            bearer = config.metrics_token_file
            flag = "--metrics-token-file"
            self.metrics_token = Held(flag, lambda: read_bearer(bearer, flag))
        if isinstance(config, CentralConfig) and config.db_password_file:
            password = config.db_password_file
            flag_of_password = "--db-password-file"
            self.db_password = Held(
                flag_of_password, lambda: read_secret(password, flag_of_password)
            )
        for held in (self.server, self.client):
            if held is not None and _has_ended(held.value):
                logger.error("%s: its time is over: nobody takes it any more", held.flag)

    @property
    def all(self) -> "Iterator[Held[Any]]":
        """All that there are."""
        for held in (self.server, self.client, self.token, self.metrics_token, self.db_password):
            if held is not None:
                yield held

    @property
    def not_after_s(self) -> float | None:
        """The Unix time at which the first of the certificates ends; None without any."""
        held = (each.value for each in (self.server, self.client) if each is not None)
        ends = [end for value in held if (end := _not_after_s(value)) is not None]
        return min(ends, default=None)

    @property
    def names(self) -> frozenset[str]:
        """The names of this machine in its certificate."""
        return frozenset() if self.server is None else self.server.value.certificate.names

    def renew(self) -> None:
        """Read all files again."""
        for held in self.all:
            held.renew()
        logger.info("Certificates and tokens were read again")

    def protected(self, listeners: Sequence[trio.abc.Listener[trio.SocketStream]]) -> Listeners:
        """The listeners of a port, which speaks TLS where there is a certificate, and with
        --insecure to those who do."""
        server = self.server
        if server is None:
            return listeners
        on_plain = self._tell_plain if self._takes_plain else None
        return [
            tls.TlsListener(each, lambda: server.value, on_plain=on_plain) for each in listeners
        ]

    def _tell_plain(self) -> None:
        self._count_plain()
        text = "A client speaks no TLS: without --insecure it would be hung up on"
        self._repeats.log(logger, logging.WARNING, "plain", text)

    def wanted_token(self) -> "WantedToken | None":
        """The token that a monitor must show to this engine by TLS; None where none is wanted."""
        if self.token is None or self.server is None:
            return None
        return WantedToken(self.token)

    def metrics_port(
        self, listeners: Sequence[trio.SocketListener], hosts: Iterable[str]
    ) -> "MetricsPort":
        """The port for metrics, whose callers show a token where there is one."""
        # An engine pays for a web server only where somebody wants it.
        from evd.adapters.http.metrics_server import MetricsPort

        protected, held = self.protected(listeners), self.metrics_token
        if held is None:
            return MetricsPort(protected, hosts, lambda: self.names)
        return MetricsPort(protected, hosts, lambda: self.names, WantedToken(held).is_right)

    def show(self, metrics: "Metrics") -> None:
        """Show until when the certificates are good, and which file was wrong."""
        if self.server is not None or self.client is not None:
            text = "The Unix time at which the first of its certificates ends"
            metrics.gauge(NOT_AFTER, text).set_function(lambda: self.not_after_s or 0.0)
        if self.server is not None:
            text = "Connections without TLS, which --insecure let through"
            self._count_plain = metrics.counter(PLAIN, text).inc
        held = {each.flag.removeprefix("--"): each for each in self.all}
        if not held:
            return
        gauge = metrics.gauge(
            RENEWAL_FAILED,
            "1 while its file is wrong and the one before goes on",
            {"flag": held},
        )
        for flag, each in held.items():
            gauge.labels(flag).set_function(each.is_stale)


class WantedToken:
    """A token that callers must show.

    Its file is read again, at most once in RENEW_S, when somebody shows another one.
    """

    RENEW_S: Final = 1.0

    def __init__(self, held: Held[str]) -> None:
        self._held = held
        self._renewed_s = -float("inf")

    def is_right(self, shown: str | None) -> bool:
        """Whether somebody has shown the token."""
        if shown is None:
            return False
        if self._matches(shown):
            return True
        now_s = trio.current_time()
        if now_s - self._renewed_s < self.RENEW_S:
            return False
        self._renewed_s = now_s
        self._held.renew()
        return self._matches(shown)

    def _matches(self, shown: str) -> bool:
        # A lone surrogate from outside must not raise.
        given = shown.encode(errors="surrogatepass")
        return hmac.compare_digest(given, self._held.value.encode())


def _not_after_s(value: object) -> float | None:
    match value:
        case tls.ServerSide():
            return value.certificate.not_after_s
        case tls.ClientSide():
            return value.not_after_s
    return None


def _has_ended(value: object) -> bool:
    return tls.has_ended(_not_after_s(value))


def _load_server(cert: Path, key: Path) -> tls.ServerSide:
    check_secret_file(key, "--tls-key")
    try:
        return tls.load_server(cert, key)
    except tls.CertWrong as error:
        raise ConfigError(f"--tls-cert: {error}") from None
    except tls.KeyWrong as error:
        raise ConfigError(f"--tls-key: {error}") from None


def _load_client(ca: Path) -> tls.ClientSide:
    try:
        return tls.load_client(ca)
    except tls.CertWrong as error:
        raise ConfigError(f"--tls-ca: {error}") from None
