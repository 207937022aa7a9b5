"""Findings of `evd doctor` on access: open ports, certificates and tokens that end, callers that
would be refused."""

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any, Final

from evd.adapters.http.central_access import CentralAccess
from evd.adapters.http.central_client import CentralAway, CentralRefused
from evd.adapters.supervisor.protocol import ProcessState, ProcessStatus, Program, Supervisor
from evd.cli.access import unready
from evd.cli.finding import Finding
from evd.cli.programs import (
    Config,
    access_of,
    config_of,
    fetch,
    is_central_here,
    settings_of_central,
)
from evd.cli.reaching import wants_tokens
from evd.config import (
    DriverConfig,
    EngineConfig,
    MonitorConfig,
    ProgramConfig,
    ServingConfig,
    WatchedConfig,
)
from evd.core.wire.fields import printable
from evd.flags import ConfigError
from evd.protection import check

# `site.yml` renews a certificate well before that.
SOON_DAYS: Final = 14
NAMED_MAX: Final = 20

_DAY_S: Final = 86_400.0
_NOT_AFTER: Final = re.compile(r"^evd_tls_not_after_seconds (\S+)$", re.MULTILINE)
_STALE: Final = re.compile(r'^evd_tls_reload_failed\{flag="([\w-]+)"\} 1(?:\.0)?$', re.MULTILINE)


def open_ports(programs: Sequence[Program], supervisor: Supervisor) -> Iterator[Finding]:
    """Programs that are open to strangers by the operator's word, or that would not start."""
    for program in programs:
        config = config_of(program)
        if not isinstance(config, ProgramConfig):
            continue
        file = supervisor.file_of(program.name)
        try:
            openings = check(config)
        except ConfigError as error:
            yield Finding(
                f"{program.name} can't be started: {error}.", f"Correct {file}; then: evd reload"
            )
            continue
        if openings:
            yield Finding(
                f"{program.name} runs with --insecure: {'; '.join(map(str, openings))}.",
                f"Give it what it needs in {file}, and take --insecure away: docs/security.md",
            )


def certificates(
    supervisor: Supervisor, programs: Sequence[Program], status: Sequence[ProcessStatus]
) -> Iterator[Finding]:
    """Certificates that end soon, and files that were wrong when they were read again."""
    running = {each.name for each in status if each.state is ProcessState.RUNNING}
    ends: dict[str, float] = {}
    for program in programs:
        config = config_of(program)
        if program.name not in running or not _has_files(config):
            continue
        answer = fetch(supervisor, config, "/metrics")
        if answer is None or answer.status != HTTPStatus.OK:
            continue
        page = answer.body.decode(errors="replace")
        if found := _NOT_AFTER.search(page):
            ends[program.name] = float(found[1])
        for flag in _STALE.findall(page):
            yield Finding(
                f"{program.name} could not read its --{flag} again: what it had goes on.",
                f"See why: evd logs {program.name}; mend the file, then send it SIGHUP",
            )
    soon = {name: end for name, end in ends.items() if end - time.time() < SOON_DAYS * _DAY_S}
    if soon:
        first = min(soon.values())
        is_over = first <= time.time()
        yield Finding(
            f"{_listed([*soon])}: the certificate {'ended' if is_over else 'ends'} on"
            f" {datetime.fromtimestamp(first, UTC):%Y-%m-%d}.",
            "Renew it: ansible-playbook site.yml does so below 30 days, else put a new one in its"
            " place and send SIGHUP.",
        )


def callers(supervisor: Supervisor) -> Iterator[Finding]:
    """Tokens that will end, and with --auth warn all that `required` would refuse."""
    central = access_of(supervisor)
    try:
        auth = _auth_of(supervisor, central)
        if auth == "off":
            return
        yield from _tokens(central.tokens())
        if auth == "warn":
            yield from unready(central.ready())
    except (CentralAway, CentralRefused):
        # Another finding tells of it, or who asks may not know.
        return


def _auth_of(supervisor: Supervisor, central: CentralAccess) -> str:
    if not supervisor.given.urls and is_central_here(supervisor):
        config = settings_of_central(supervisor)
        return str(config.auth) if wants_tokens(config) else "off"
    return central.auth()


def _tokens(tokens: Sequence[Mapping[str, Any]]) -> Iterator[Finding]:
    now = datetime.now(UTC)
    ended, ending = [], []
    for token in tokens:
        if token.get("revoked") or not token.get("expires_at"):
            continue
        left = datetime.fromisoformat(str(token["expires_at"])) - now
        if left < timedelta(0):
            ended.append(str(token["name"]))
        elif left < timedelta(days=SOON_DAYS):
            ending.append(str(token["name"]))
    for names, text in (
        (ending, f"end within {SOON_DAYS} days"),
        (ended, "have ended, and are refused"),
    ):
        if names:
            yield Finding(
                f"Tokens that {text}: {_listed(names)}.",
                "Make others (evd token new), and revoke these (evd token revoke).",
            )


def _has_files(config: Config | None) -> bool:
    """Whether a program has certificates or secrets of its own."""
    files = [
        *([config.tls_cert] if isinstance(config, ServingConfig) else []),
        *([config.metrics_token_file] if isinstance(config, WatchedConfig) else []),
    ]
    if isinstance(config, EngineConfig | MonitorConfig | DriverConfig):
        files.append(config.token_file)
    if isinstance(config, MonitorConfig | DriverConfig):
        files.append(config.tls_ca)
    return any(file is not None for file in files)


def _listed(names: Sequence[str]) -> str:
    more = len(names) - NAMED_MAX
    shown = ", ".join(printable(each) for each in names[:NAMED_MAX])
    return f"{shown} and {more} more" if more > 0 else shown
