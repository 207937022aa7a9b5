"""docs/configuration.md, drawn from the flags of the programs: `make docs` writes it anew."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from evd.cli.topics import TopicsConfig
from evd.config import BrokerConfig, CentralConfig, DriverConfig, EngineConfig, MonitorConfig
from evd.flags import Flag, FlagTable, flags_of
from evd.kafka_node.config import KafkaNodeConfig

CONFIGURATION: Final = Path(__file__).parents[1] / "docs" / "configuration.md"
TABLES: Final[tuple[type[FlagTable], ...]] = (
    CentralConfig,
    EngineConfig,
    MonitorConfig,
    DriverConfig,
    BrokerConfig,
    KafkaNodeConfig,
    TopicsConfig,
)

_HEAD: Final = """\
# Configuration

`make docs` writes this page from the flags of the programs; a test fails when it is stale.

A flag wins over its variable, and an empty variable counts as not set. A wrong value ends the
program with code 2 and one line on stderr that names the flag or the variable. `--help` shows the
flags, `--version` the release. The supervised
network has its flags in `etc/supervisord.d` and `var/supervisord.d`, a file for each unit.

A host is a name or an IP address. An IPv6 address stands in brackets before a port and in a URL,
as in `[::1]:9092`, and nowhere else. Ports are from 1 to 65535. Durations are in seconds.
"""
_TAIL: Final = """
## Variables of others

| variable | read by | meaning |
|---|---|---|
| `EVD_CONFIG` | `evd` | the network's supervisord.conf; `--config` wins |
| `STATE_DIRECTORY` | Central, engine, monitor, driver | the state directory, as systemd sets it; `--state-dir` wins |
| `NOTIFY_SOCKET`, `WATCHDOG_USEC`, `WATCHDOG_PID` | every daemon, `evd-kafka` | systemd's readiness and watchdog |
| `JOURNAL_STREAM` | every daemon | says that stderr is journald: lines then have a priority and no time |
| `NO_COLOR`, `TERM` | `evd-driver` | no colours with `--color auto` where NO_COLOR is set or TERM is `dumb` |
| `JAVA_HOME` | `evd-kafka`, `make kafka` | the Java |
| `XDG_CACHE_HOME` | `evd-kafka`, `make kafka`, `make prometheus` | the folder of Kafka's jars and of Prometheus |
"""  # noqa: E501


def configuration() -> str:
    """The whole page."""
    return "\n".join([_HEAD, *(line for table in TABLES for line in _section(table))]) + _TAIL


def _section(table: type[FlagTable]) -> Iterator[str]:
    yield f"## {table.PROGRAM}\n\n{(table.__doc__ or '').strip()}\n"
    yield "| flag | variable | value | unit | default | meaning |\n|---|---|---|---|---|---|"
    for flag in flags_of(table):
        cells = (cell.replace("|", r"\|") for cell in _cells(flag))
        yield f"| {' | '.join(cells)} |"
    yield ""


def _cells(flag: Flag) -> Iterator[str]:
    unit = flag.kind.unit
    default = flag.default.removesuffix(f" {unit}") if unit else flag.default
    yield f"`{flag.name}`"
    yield f"`{flag.variable}`"
    yield f"`{flag.kind.metavar}`"
    yield unit
    # Markdown would take <file> for an element of HTML.
    yield "required" if flag.required else default.replace("<", r"\<")
    yield flag.text.replace("<", r"\<")


if __name__ == "__main__":
    CONFIGURATION.write_text(configuration())
