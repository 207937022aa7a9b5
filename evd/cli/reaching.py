"""The ways to Central and to the programs of this host: by which address, and as whom."""

import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

from evd.adapters.files.regular_file import open_regular
from evd.adapters.http.client import Way, url_of
from evd.adapters.supervisor.protocol import CentralGiven
from evd.adapters.trust import client_context
from evd.cli.errors import ToolFailed
from evd.config import CentralConfig, MetricsConfig, WatchedConfig
from evd.core.access.tokens import check_token
from evd.core.wire.fields import FieldError
from evd.flags import PATH, URLS, ConfigError, Kind, parsed
from evd.secret_files import read_secret

ADMIN_SOCKET: Final = "admin.sock"
TOKEN_FILE_FLAG: Final = "--token-file"
TOKEN_BYTES_MAX: Final = 4096

T = TypeVar("T")

# The flags of the tool, each with its variable.
GIVEN: Final[Mapping[str, tuple[Kind, str, str]]] = {
    "--central-url": (
        *(URLS, "EVD_CENTRAL_URL"),
        "Central's HTTP; several are tried in turn (default: that of this network)",
    ),
    TOKEN_FILE_FLAG: (PATH, "EVD_TOKEN_FILE", "your token, in a file of mode 0600"),
    "--tls-ca": (PATH, "EVD_TLS_CA", "certificates that vouch for Central, PEM"),
}


def given_by(flags: Mapping[str, str | None], env: Mapping[str, str]) -> CentralGiven:
    """How Central is to be asked, by flags and then variables; ConfigError names a wrong one."""
    values: dict[str, Any] = {}
    for flag, (kind, variable, _) in GIVEN.items():
        text, source = flags.get(flag), flag
        if text is None:
            text, source = env.get(variable) or None, variable
        values[flag] = None if text is None else parsed(kind, text, source)
    urls, token_file, tls_ca = values.values()
    return CentralGiven(urls or (), token_file, tls_ca)


def ways_elsewhere(
    urls: Sequence[str], given: CentralGiven, tls_ca: Path | None = None
) -> list[Way]:
    """The ways to the Centrals of other hosts, or to those that the operator names."""
    token, context = _token_of(given), partial(client_context, given.tls_ca or tls_ca)
    return [Way(url, token=token, context=context) for url in urls]


def way_here(config: CentralConfig, root: Path, given: CentralGiven) -> Way:
    """The way to the Central of this host, which runs in the folder `root`.

    Who can open its socket needs no token; whoever names a token asks as its holder.
    """
    own = None if config.tls_cert is None else root / config.tls_cert
    token = _token_of(given)
    return Way(
        url_of(config.http_host, config.http_port, is_tls=own is not None),
        socket=_socket_of(config, root) if token is None else None,
        token=token,
        context=partial(client_context, given.tls_ca, own if given.tls_ca is None else None),
    )


def way_to_page(config: MetricsConfig, root: Path) -> Way | None:
    """The way to a program's /metrics and /health, None where it shows none."""
    if not config.metrics_port:
        return None
    if not isinstance(config, WatchedConfig):
        return Way(url_of(config.metrics_host, config.metrics_port))
    certificate = None if config.tls_cert is None else root / config.tls_cert
    return Way(
        url_of(config.metrics_host, config.metrics_port, is_tls=certificate is not None),
        token=_metrics_token(config, root),
        context=partial(client_context, None, certificate),
    )


def wants_tokens(config: CentralConfig) -> bool:
    """Whether this Central asks its callers who they are, if only to count."""
    return config.auth in ("warn", "required")


def _socket_of(config: CentralConfig, root: Path) -> Path | None:
    """Central's Unix socket; None where there is none, as with the release before."""
    path = root / config.state_dir / ADMIN_SOCKET
    try:
        is_there = path.is_socket()
    except PermissionError:
        # The folder is another user's, and so is the socket: the call says so then.
        is_there = True
    # Where everybody may do all over HTTP, no permission is needed for it.
    is_left = not wants_tokens(config) and not os.access(path, os.W_OK)
    return path if is_there and not is_left else None


def _token_of(given: CentralGiven) -> Callable[[], str] | None:
    """The operator's token, read once; ToolFailed where its file can't be used."""
    if given.token_file is None:
        return None
    try:
        token = check_token(read_secret(given.token_file, TOKEN_FILE_FLAG), TOKEN_FILE_FLAG)
    except (ConfigError, FieldError) as error:
        raise ToolFailed(f"{error}.", 2) from None
    return lambda: token


def _metrics_token(config: WatchedConfig, root: Path) -> Callable[[], str] | None:
    """The token for a program's metrics, None where there is none that this user may read.

    The file is the program's user's own; root may be another.
    """
    if config.metrics_token_file is None:
        return None
    try:
        with open(open_regular(root / config.metrics_token_file), "rb") as file:
            token = file.read(TOKEN_BYTES_MAX).decode("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None
    return lambda: token
