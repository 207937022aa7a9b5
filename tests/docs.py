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
flags, `--version` the release. The supervised network of a checkout has its flags in
`etc/supervisord.d` and `var/supervisord.d`, a file for each unit; a host has
[units of systemd](#units-of-a-host), and its flags as variables in `/etc/evd`.

A host is a name or an IP address. An IPv6 address stands in brackets before a port and in a URL,
as in `[::1]:9092`, and nowhere else. Ports are from 1 to 65535. Durations are in seconds.
"""
_TAIL: Final = """
## Ports beyond loopback

Loopback is 127.0.0.0/8, ::1, a Unix socket, or a name all of whose addresses are these. On it nothing
is asked for. A program that listens beyond it needs the whole protection of that port, or `--insecure`;
else it ends with code 2 and says what is missing. `--insecure` is a WARNING at each start.

| port | is protected by |
|---|---|
| Central's, for monitors, HTTP and the feed; a driver's dashboard | `--tls-cert`, `--tls-key`, `--auth required` |
| an engine's health port | `--tls-cert`, `--tls-key`, `--token-file`, which its monitor has as well |
| a metrics port | `--tls-cert`, `--tls-key`, `--metrics-token-file` |
| evd-broker's | nothing: it is for one machine, and elsewhere wants `--insecure` |

With `--tls-cert` all ports of a program speak TLS, those on loopback too, but for a health port on
loopback, which is always plain. A monitor dials an engine on loopback plainly, and Central and every
other engine by TLS where it has `--tls-ca`. Names are checked: a certificate needs the name or the
address by which its host is dialed. HTTP answers to the certificate's names as to `--http-hosts`, but
for names with a `*`.

With both a certificate and `--insecure` a port takes clients by TLS and without it, and counts the
latter in `evd_tls_plain_connections_total`: so a network that runs goes over host by host, and
`--insecure` is taken away once none is counted any more.

No token leaves a host in clear: a monitor or a driver with `--token-file` that would dial another host
without TLS ends with code 2, with `--insecure` too. A password for a database on another host needs
`sslmode=require` or stricter in `--db-url`, or `--insecure`; with `--auth required` it stands in
`--db-password-file`, and the mode is `verify-full`.

A file of a secret is its user's own, with the mode 0600 or stricter; below `$CREDENTIALS_DIRECTORY` it
is as systemd made it. SIGHUP (`systemctl reload`) reads the files of all these flags again, and no
connection is lost. Where a new file is wrong the one before goes on, with one ERROR line and
`evd_tls_reload_failed`. A monitor reads its token again at each dial, an engine when a PING shows
another. A SIGHUP because the terminal has hung up ends a daemon as SIGTERM does, unless it was started
with SIGHUP ignored, as by nohup.

## Units of a host

The units in `systemd/` are installed to `/etc/systemd/system`. Each daemon runs as the user `evd`
from `/opt/evd/current`, a link to one release.

| unit | variables | state |
|---|---|---|
| `evd-central.service` | `/etc/evd/evd-central/central.env` | `/var/lib/evd/evd-central` |
| `evd-engine@ID.service` | `/etc/evd/evd-engine/ID.env` | `/var/lib/evd/evd-engine/ID` |
| `evd-monitor@ID.service` | `/etc/evd/evd-monitor/ID.env` | `/var/lib/evd/evd-monitor/ID` |
| `evd-driver@ID.service` | `/etc/evd/evd-driver/ID.env` | `/var/lib/evd/evd-driver/ID` |
| `kafka.service` | `/etc/kafka/server.properties`; heap and Java's flags in `/etc/kafka/kafka.env` | `/var/lib/kafka` |
| `evd-cp@ID.target` | starts and stops both halves of a charging point | |
| `evd.target` | starts and stops all of the host | |

- A file of variables has one `NAME=value` a line, such as `CP_ENGINE_KW_RATE=22.0`. `/etc/evd/evd.env`,
  which need not be there, holds those that all units of the host share: a unit's own file wins. The
  files are root's and the group `evd`'s alone (0640). The id is the unit's, and stands in no file.
- The address of Central's database, where it is not the file in its state directory, is a
  credential: `/etc/evd/credentials/db-url` (root's alone, 0600), handed over by
  `systemd/credentials/db-url.conf`, which is then copied to
  `/etc/systemd/system/evd-central.service.d/`.
- So is the password in its place, where `--db-url` holds none: `/etc/evd/credentials/db-password` and
  `systemd/credentials/db-password.conf`.  Ansible writes both by `evd_central_db_url` and
  `evd_central_db_password`.
- A unit is `active` once its daemon serves; the line `Status:` of `systemctl status` says what it is
  doing, or why it can't.
- A daemon whose loop has not turned for 10 s is ended by the watchdog, and where it hung stands in
  its log; one whose own work has had no end for 30 s is taken for the same.
- Any end but a clean one is followed by a new start, code 2 for a wrong setting too: the first at
  once, the next ones after 0.5, 1, 2, 4 and then 8 s. A life of 10 s ends the row. After 20 starts in
  five minutes systemd starts it no more, and shows it as `failed`: `evd doctor` says so, and
  `evd up` begins anew.
- A clean end, after SHUTDOWN or `systemctl stop`, is not followed by a start: `evd up`, or
  `systemctl start`.
- Other limits than those of the units (memory, tasks, files) are set by a drop-in, such as
  `systemctl edit evd-central.service`.

`evd` takes the names of both worlds: `evd-engine:CP-001` and `evd-engine@CP-001.service`.

## How evd asks Central

- On Central's host `evd` asks over `admin.sock` in Central's state directory (0600): who can open it
  may do all, with every `--auth`. Where Central has none, as one of the release before, it asks over
  HTTP.
- `--central-url URL`, or `EVD_CENTRAL_URL`, names another Central, also from a machine that has no
  network of its own. Several URLs with commas between them are those of Centrals of which one serves:
  they are tried in turn, what changes something goes to one of them alone, and `evd status` and
  `evd doctor` show each. Without it a host that has no Central looks into `/etc/evd/evd.env`
  (`EVD_CENTRAL_URL`), and then at where its drivers (`DRIVER_CENTRAL_URL`) or monitors
  (`CP_MONITOR_CENTRAL_HOST`, port 8000) find it. On the host of a Central that stands by it asks that one,
  which answers who serves: name both there to have the one that serves.
- `--token-file FILE` is your token, in a file of yours with the mode 0600. With it `evd` asks as its
  holder, on Central's host too. `--tls-ca FILE` has the certificates that vouch for Central; without
  it those of the system count. No token and no password is sent beyond this machine without TLS.
- Each of the three may stand before the verb or behind it.

## Variables of others

| variable | read by | meaning |
|---|---|---|
| `EVD_CONFIG` | `evd` | the network's supervisord.conf; `--config` wins |
| `EVD_CENTRAL_URL`, `EVD_TOKEN_FILE`, `EVD_TLS_CA` | `evd` | [how it asks Central](#how-evd-asks-central); a flag wins |
| `CREDENTIALS_DIRECTORY` | every daemon | the folder of the credential `db-url`, as systemd sets it; `--db-url` and `CENTRAL_DB_URL` win. Files of secrets in it are taken whatever their mode |
| `RUNTIME_DIRECTORY` | `evd-restart-delay` | the folder that remembers a unit's last start |
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
