"""The programs of a network: their names, their settings, and how new ones are defined.

Nothing here says which supervisor keeps the processes alive.
"""

import contextlib
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final
from urllib.parse import urlsplit

from evd.adapters.http.central_access import CentralAccess
from evd.adapters.http.central_client import Central
from evd.adapters.http.client import (
    HttpAnswer,
    NotHttp,
    NotSent,
    NotTrusted,
    Way,
    exchange,
    url_of,
)
from evd.adapters.supervisor.protocol import (
    ProcessState,
    ProcessStatus,
    Program,
    Supervisor,
    SupervisorFailed,
)
from evd.addresses import bracketed, is_loopback
from evd.cli.command_line import print_json
from evd.cli.errors import ToolFailed
from evd.cli.reaching import way_here, way_to_page, ways_elsewhere
from evd.config import (
    CentralConfig,
    MetricsConfig,
    ProgramConfig,
    broker_config,
    central_config,
    driver_config,
    engine_config,
    monitor_config,
)
from evd.flags import ConfigError
from evd.kafka_node.config import KafkaNodeConfig, kafka_node_config

ENGINE: Final = "evd-engine"
MONITOR: Final = "evd-monitor"
DRIVER: Final = "evd-driver"
CENTRAL: Final = "evd-central"
BROKER: Final = "evd-broker"
KAFKA: Final = "evd-kafka"

# The port of a Central whose settings are not known here.
FEED_PORT: Final = 8765
READY_S: Final = 30.0
POLL_S: Final = 0.2
PAGE_S: Final = 2.0

Config = ProgramConfig | KafkaNodeConfig

_PARSERS: Final[Mapping[str, Callable[[Sequence[str], Mapping[str, str]], Config]]] = {
    BROKER: broker_config,
    KAFKA: kafka_node_config,
    CENTRAL: central_config,
    ENGINE: engine_config,
    MONITOR: monitor_config,
    DRIVER: driver_config,
}
_NOT_YET: Final = " (the network does not run: `evd up` starts it)"


def config_of(program: Program, shell: Mapping[str, str] = os.environ) -> Config | None:
    """The settings of a program, None for one that is not ours; ToolFailed where they are wrong.

    `shell`: the variables that it inherits from the shell that starts the network.
    """
    parse = _PARSERS.get(program.group)
    if parse is None:
        return None
    try:
        inherited = shell if program.inherits else {}
        return parse(program.arguments, {**inherited, **program.environment})
    except ConfigError as error:
        raise ToolFailed(f"{program.name} can't be started: {error}.", 2) from None


def settings_of_central(supervisor: Supervisor) -> CentralConfig:
    """Read them as the daemon reads them, from the flags of its unit."""
    for program in supervisor.programs():
        if program.group == CENTRAL:
            config = config_of(program)
            if isinstance(config, CentralConfig):
                return config
    raise ToolFailed("No program evd-central is defined here.")


def is_central_here(supervisor: Supervisor) -> bool:
    """Whether Central is one of the programs; else its settings are not known here."""
    return any(each.group == CENTRAL for each in supervisor.programs())


def central_of(supervisor: Supervisor) -> Central:
    """Central, where the operator or its settings say that it is, here or elsewhere."""
    return Central(_ways_to_central(supervisor))


def access_of(supervisor: Supervisor) -> CentralAccess:
    """The same Central, asked who may do what."""
    return CentralAccess(_ways_to_central(supervisor))


def feeds_of(supervisor: Supervisor) -> list[str]:
    """The addresses of Central's status feed, in the order of `Central.ways`."""
    return [_feed_at(supervisor, url) for url in _elsewhere(supervisor) or (None,)]


def _feed_at(supervisor: Supervisor, url: str | None) -> str:
    if url is not None and not _is_own(supervisor, url):
        parts = urlsplit(url)
        url = f"{parts.scheme}://{bracketed(parts.hostname or '')}:{FEED_PORT}"
    else:
        config = settings_of_central(supervisor)
        is_tls = config.tls_cert is not None
        url = url_of(config.http_host, config.feed_port, is_tls=is_tls)
    return f"ws{url.removeprefix('http')}/feed"


def _is_own(supervisor: Supervisor, url: str) -> bool:
    """Whether the operator has named the Central of this network, whose feed may be anywhere."""
    if not is_central_here(supervisor):
        return False
    parts, config = urlsplit(url), settings_of_central(supervisor)
    is_here = parts.hostname == config.http_host or is_loopback(parts.hostname or "")
    return parts.port == config.http_port and is_here


def _ways_to_central(supervisor: Supervisor) -> list[Way]:
    if urls := _elsewhere(supervisor):
        return ways_elsewhere(urls, supervisor.given, supervisor.central_ca())
    return [way_here(settings_of_central(supervisor), supervisor.root, supervisor.given)]


def _elsewhere(supervisor: Supervisor) -> tuple[str, ...]:
    if supervisor.given.urls:
        return supervisor.given.urls
    return () if is_central_here(supervisor) else supervisor.central_urls()


def program_named(supervisor: Supervisor, name: str) -> Program:
    """The program that `name` means: its full name, or the end of it where that is clear."""
    programs = supervisor.programs()
    found = [each for each in programs if name in names_for(each.name)]
    if not found:
        known = ", ".join(each.name for each in programs)
        raise ToolFailed(f"There is no program {name!r}. There are {known}.", 2)
    if len(found) > 1:
        names = " or ".join(each.name for each in found)
        raise ToolFailed(f"{name!r} may be {names}: which one?", 2)
    return found[0]


def names_for(full_name: str) -> Iterator[str]:
    """The names by which an operator may mean a program; that of its unit is one."""
    yield full_name
    group, _, member = full_name.partition(":")
    yield f"{group}@{member}.service" if member else f"{group}.service"
    yield f"{group}@{member}"
    yield full_name.removeprefix("evd-")
    if member:
        yield member


def fetch(supervisor: Supervisor, config: Config | None, path: str) -> HttpAnswer | None:
    """A page of the program with these settings, None if it has none or nobody answers."""
    if isinstance(config, CentralConfig):
        way: Way | None = way_here(config, supervisor.root, supervisor.given)
    elif isinstance(config, MetricsConfig):
        way = way_to_page(config, supervisor.root)
    else:
        return None
    try:
        return None if way is None else exchange(way, "GET", path, answer_s_max=PAGE_S)
    except (OSError, NotHttp, NotTrusted, NotSent):
        return None


def refuse_known(
    supervisor: Supervisor, units: Mapping[str, str], programs: Sequence[Program], *groups: str
) -> None:
    """ToolFailed where one of the new ones, named as in `units`, is defined already."""
    members = {each.member for each in programs if each.group in groups}
    for name, unit in units.items():
        if supervisor.has(unit) or name in members:
            raise ToolFailed(f"{name} is there already: nothing was added.")


def define(supervisor: Supervisor, units: Mapping[str, Sequence[Program]]) -> None:
    """Define all units or none, and start them where the network runs."""
    defined: list[str] = []
    try:
        for unit, programs in units.items():
            defined.append(unit)
            supervisor.add(unit, programs)
    except (OSError, SupervisorFailed):
        for unit in defined:
            with contextlib.suppress(OSError):
                supervisor.remove(unit)
        raise
    if supervisor.pid() is not None:
        supervisor.sync()


def stop_those_there(supervisor: Supervisor, names: Sequence[str]) -> None:
    """Stop the programs that the supervisor has, and wait until they have stopped."""
    present = {each.name for each in supervisor.status()}
    supervisor.stop([name for name in names if name in present])


def not_running(processes: Iterable[ProcessStatus]) -> list[str]:
    """The processes that should run and do not, each with its state."""
    return [
        f"{each.name} is {each.state}"
        for each in processes
        if each.state is not ProcessState.RUNNING
    ]


def wait_until_none(missing: Callable[[], list[str]], within_s: float, advice: str) -> None:
    """Return once nothing is missing; ToolFailed says after `within_s` what still is."""
    end_s = time.monotonic() + within_s
    while found := missing():
        if time.monotonic() > end_s:
            told = ", ".join(found).rstrip(".")
            raise ToolFailed(f"After {within_s:g} s: {told}. `evd doctor` may say {advice}.")
        time.sleep(POLL_S)


def report_added(
    supervisor: Supervisor,
    added: Mapping[str, object],
    lines: Sequence[str],
    missing: Callable[[], list[str]],
    *,
    as_json: bool,
) -> int:
    """Wait until the new ones work, where the network runs, and say what was added.

    `added` holds for each name what a script is told of it, `lines` what a person is told.
    """
    running, trouble = supervisor.pid() is not None, None
    try:
        if running:
            wait_until_none(missing, READY_S, "why")
    except ToolFailed as error:
        trouble = error
    if as_json:
        is_on = running and trouble is None
        print_json({"added": [*added.values()], "running": running, "on": is_on})
    if trouble is not None:
        raise ToolFailed(f"Added {', '.join(added)}. {trouble}")
    if not as_json:
        print("\n".join(f"{line}{'' if running else _NOT_YET}" for line in lines))
    return 0
