"""`evd fleet`: plays charging points and drivers against a Central, to size its host."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from evd.adapters.http.central_client import Central, CentralRefused
from evd.adapters.supervisor.protocol import Supervisor
from evd.addresses import is_loopback
from evd.cli.command_line import Verbs, add_verb, print_json, text_of, value_of
from evd.cli.errors import ToolFailed, say
from evd.cli.programs import central_of, is_central_here, settings_of_central
from evd.core.access.roles import Role
from evd.core.fleet.plan import CHARGING, CHARGING_MAX, SESSION_S, Plan, PlanWrong, plan_of
from evd.core.wire.fields import FieldError
from evd.flags import BOOTSTRAP, HOST, PATH, PORT, ConfigError, number, whole
from evd.secret_files import read_token

if TYPE_CHECKING:
    from evd.daemons.fleet.program import Place

CPS_MAX: Final = 50_000
SECONDS_MAX: Final = 86_400.0
REQUESTS_S_MAX: Final = 10_000.0
PREFIX: Final = "FLEET-"
# The open files besides those of monitors: Kafka's, HTTP's, Python's own.
FILES_RESERVED: Final = 200
CENTRAL_PORT: Final = 9999
ANSWER_S_MAX: Final = 30.0
FORMATS: Final = ("table", "json")
FORBIDDEN: Final = (401, 403)

_ABOUT: Final = (
    "play so many charging points and their drivers against a Central, and print what it carries"
)
_MORE: Final = f"""\
The charging points are played (monitors on Central's port, engines on Kafka) and charge for
{SESSION_S:g} s each, or as --requests makes it. Their sessions are billed like any other, and
stay in the history: it is for a Central that bills nobody. At the end, and on Ctrl-C, the
sessions are ended and the charging points are taken off Central's list, which on a Central that
asks who calls needs an admin's token. Monitors are played without TLS. The time before and after
--seconds, to register all and to end all, comes on top. Run it on another host than Central, or on
other cores. Exit code: 0 Central kept up, 1 it did not, 130 it was interrupted."""


def add_verbs(verbs: Verbs) -> None:
    """Add `fleet`."""
    parser = add_verb(verbs, "fleet", _ABOUT, _fleet)
    parser.epilog = _MORE
    parser.add_argument(
        "--cps", type=value_of(whole(1, CPS_MAX)), metavar="N", help="so many charging points"
    )
    parser.add_argument(
        "--seconds",
        type=value_of(number("s", 1.0, SECONDS_MAX)),
        metavar="S",
        help="measure for so long, once all are there",
    )
    parser.add_argument(
        "--charging",
        type=value_of(number("", 0.0, CHARGING_MAX)),
        default=CHARGING,
        metavar="SHARE",
        help=f"the share of them that charges, 0 to {CHARGING_MAX:g} (default {CHARGING:g})",
    )
    parser.add_argument(
        "--requests",
        type=value_of(number("requests/s", 0.001, REQUESTS_S_MAX)),
        metavar="R",
        help=f"requests a second (default: as many as sessions of {SESSION_S:g} s need)",
    )
    places = (
        ("--central-host", HOST, "Central's host for monitors (default: that of this network)"),
        ("--central-port", PORT, f"its port for monitors (default: its own, else {CENTRAL_PORT})"),
        ("--kafka-bootstrap", BOOTSTRAP, "the brokers (default: those of this network's Central)"),
        ("--tokens-dir", PATH, "of each charging point a file with its token, called by its id"),
    )
    for flag, kind, text in places:
        parser.add_argument(flag, type=text_of(kind), metavar=kind.metavar, help=text)
    parser.add_argument(
        "--prefix", default=PREFIX, metavar="TEXT", help=f"of their ids (default {PREFIX})"
    )
    parser.add_argument(
        "--yes", action="store_true", help="also where Central knows other charging points"
    )
    text = "only remove what an earlier run with this --prefix left"
    parser.add_argument("--clean", action="store_true", help=text)
    parser.add_argument(
        "--format", choices=FORMATS, default=FORMATS[0], help="for people, or for a script"
    )
    parser.add_argument(
        "--json", dest="format", action="store_const", const="json", help="as --format json"
    )


def _fleet(supervisor: Supervisor, options: argparse.Namespace) -> int:
    if not options.clean and (options.cps is None or options.seconds is None):
        raise ToolFailed("Say how many, and for how long: --cps and --seconds.", 2)
    central = Central(central_of(supervisor).ways, ANSWER_S_MAX)
    if options.clean:
        return _clean(central, options.prefix)
    plan = _plan(options)
    # Loaded late, as below: Trio stands behind it.
    from evd.daemons.lifecycle import files_max, raise_file_limit

    raise_file_limit()
    check_files(plan, files_max())
    # A stranger is told that Central is well, and no more.
    central_id = central.health().get("central_id")
    place = _place(supervisor, options, central, central_id)
    tokens = _tokens(plan, options, place.host)
    _check_known(central, plan, yes=options.yes)
    _check_removal(central, plan, yes=options.yes)
    return _play(plan, place, options, tokens)


def _plan(options: argparse.Namespace) -> Plan:
    try:
        return plan_of(options.prefix, options.cps, options.charging, options.requests)
    except (PlanWrong, FieldError) as error:
        raise ToolFailed(f"{error}.", 2) from None


def check_files(plan: Plan, files_max: int) -> None:
    """ToolFailed where a process with so many open files has no connection for each."""
    room = files_max - FILES_RESERVED
    if plan.cps > room:
        raise ToolFailed(
            f"This machine lets a program have {files_max:,} open files: that is enough for"
            f" {max(0, room):,} charging points. `ulimit -n` tells and raises it.",
            2,
        )


def _place(
    supervisor: Supervisor, options: argparse.Namespace, central: Central, central_id: str | None
) -> "Place":
    """Central's port for monitors and its broker: as given, else as this network has them."""
    from evd.daemons.fleet.program import Place

    host, port, bootstrap = options.central_host, options.central_port, options.kafka_bootstrap
    if not supervisor.given.urls and is_central_here(supervisor):
        config = settings_of_central(supervisor)
        if config.tls_cert is not None and not config.insecure:
            raise ToolFailed(
                "Central's port for monitors speaks TLS, and a fleet is played without:"
                " try it on a Central without --tls-cert, or with --insecure.",
                2,
            )
        own = "127.0.0.1" if config.listen_host in ("0.0.0.0", "::") else config.listen_host
        host, port = host or own, port or config.listen_port
        bootstrap = bootstrap or config.kafka_bootstrap
    if bootstrap is None:
        raise ToolFailed("Name the broker of that Central: --kafka-bootstrap.", 2)
    return Place(
        host=host or urlsplit(central.url).hostname or "127.0.0.1",
        port=int(port or CENTRAL_PORT),
        bootstrap=bootstrap,
        central=central,
        central_id=central_id,
    )


def _tokens(plan: Plan, options: argparse.Namespace, host: str) -> dict[str, str]:
    if options.tokens_dir is None:
        return {}
    if not is_loopback(host):
        raise ToolFailed(f"--tokens-dir: no token is sent to {host}, since TLS is not played.", 2)
    folder = Path(options.tokens_dir)
    try:
        return {
            cp_id: read_token(folder / cp_id, "--tokens-dir", Role.MONITOR) for cp_id in plan.cp_ids
        }
    except ConfigError as error:
        raise ToolFailed(f"{error}.", 2) from None


def _check_known(central: Central, plan: Plan, *, yes: bool) -> None:
    """ToolFailed where Central knows one of the ids, or others and that is not meant."""
    known = [each["cp_id"] for each in central.charging_points()["charging_points"]]
    own = [cp_id for cp_id in known if cp_id.startswith(plan.prefix)]
    if own:
        raise ToolFailed(
            f"Central already knows {len(own):,} charging points whose ids begin with"
            f" {plan.prefix}, such as {own[0]}. If an earlier run left them, remove them by"
            " --clean; else choose another --prefix.",
            2,
        )
    if known and not yes:
        raise ToolFailed(
            f"This Central knows {len(known):,} other charging points, such as {known[0]}: a fleet"
            " loads it, and its sessions are billed. If you mean it, say --yes.",
            2,
        )


def _check_removal(central: Central, plan: Plan, *, yes: bool) -> None:
    """ToolFailed where the fleet could not be removed at its end, and that is not meant."""
    try:
        central.forget_cp(plan.cp_ids[0])
    except CentralRefused as error:
        if error.status in FORBIDDEN and not yes:
            raise ToolFailed(
                "Central lets only an admin remove charging points, so this fleet would stay on"
                " its list: name an admin's token by --token-file, or say --yes.",
                2,
            ) from None


def _play(plan: Plan, place: "Place", options: argparse.Namespace, tokens: dict[str, str]) -> int:
    from evd.cli.ending import run_until_ended
    from evd.cli.fleet_view import as_fields, as_lines
    from evd.cli.signals import INTERRUPTED, stop_then_end
    from evd.daemons.fleet.program import FleetRefused, Played, play

    outcome: list[Played | FleetRefused] = []

    async def main() -> int:
        async with stop_then_end() as stopping:
            try:
                outcome.append(await play(plan, place, options.seconds, stopping, _tell, tokens))
            except FleetRefused as error:
                outcome.append(error)
        return INTERRUPTED if stopping.is_set() else 0

    code = run_until_ended(main)
    if not outcome:
        raise ToolFailed(
            f"Ended at once: charging points {plan.prefix}… may be left at Central;"
            " `evd fleet --clean` removes them.",
            INTERRUPTED,
        )
    (ended,) = outcome
    if isinstance(ended, FleetRefused):
        raise ToolFailed(str(ended))
    if ended.left.cp_ids:
        count = len(ended.left.cp_ids)
        say(f"{count:,} charging points stay on Central's list: {ended.left.why}.", "evd fleet")
    if ended.report is None:
        return code
    if options.format == "json":
        print_json(as_fields(ended.report))
    else:
        print("\n".join(as_lines(ended.report)))
    return code or int(not ended.report.kept_up)


def _clean(central: Central, prefix: str) -> int:
    """Remove those that have the prefix and a number alone, and are not connected."""
    import trio

    from evd.daemons.fleet.removal import remove

    found = [each["cp_id"] for each in central.charging_points()["charging_points"]]
    own = [
        cp_id
        for cp_id in found
        if cp_id.startswith(prefix) and cp_id.removeprefix(prefix).isdecimal()
    ]
    left = trio.run(remove, central, own)
    print(f"Removed {len(own) - len(left.cp_ids):,} charging points.")
    if left.cp_ids:
        raise ToolFailed(f"{len(left.cp_ids):,} stay on Central's list: {left.why}.")
    return 0


def _tell(text: str) -> None:
    print(f"evd fleet: {text}", file=sys.stderr, flush=True)
