"""The promises that a network at rest must keep, checked on what its parts wrote down themselves:
Central's database, the sessions on the engines' disks, and the lines that each driver printed.

`unrest` lists what has still to come; `findings` lists each broken promise.
"""

import re
import shutil
import sqlite3
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import closing
from enum import StrEnum
from itertools import pairwise
from pathlib import Path
from typing import Any

import attrs

from evd.adapters.buffer.buffer import FILE_NAME
from evd.adapters.buffer.database import whole_record
from evd.core.central.ledger import session_id_for
from evd.core.driver.core import NO_COORDINATOR
from evd.core.wire.messages import FINAL, RequestStatus, SessionRecord
from evd.core.wire.units import cents_from_euros, mwh_from_kwh
from tests.network.network import Network
from tests.network.waiting import wait_until_none

AT_REST_S_MAX = 20.0
# A look reads every disk: not too often, on a machine that is busy.
LOOK_S = 0.2
COPY_ATTEMPTS_MAX = 5

Row = Mapping[str, Any]

_ASKED = re.compile(r"Requested charging at \S+ \((\S+)\)")
_TOTALS = re.compile(r"(?P<kwh>[0-9]+\.[0-9]{3}) kWh, (?P<euros>[0-9]+\.[0-9]{2}) €")
FINAL_STATUSES = frozenset(status.value for status in FINAL)


class Promise(StrEnum):
    """The promises that a finding may be about."""

    KEPT = "no session is lost"
    ONCE = "nothing is billed twice"
    TOTALS = "every total is the engine's own"
    ONE_AT_A_TIME = "one session a charging point, one a driver"
    ONE_ENDING = "one final status a request"
    ALIVE = "nobody ends but who is killed or told to"


# A promise, and a sentence on how it is broken.
Finding = tuple[Promise, str]


@attrs.frozen
class Kept:
    """A record on an engine's disk."""

    record: SessionRecord
    confirmed: bool


@attrs.frozen
class Disk:
    """The sessions on one engine's disk: those that are over, and one that was never closed."""

    kept: Sequence[Kept]
    running: Sequence[str]


@attrs.frozen
class Told:
    """A final line that a driver printed."""

    status: str
    text: str


@attrs.frozen
class Facts:
    """All that a network's parts wrote down; `told` by driver and then by request."""

    sessions: Sequence[Row]
    requests: Mapping[str, Row]
    disks: Mapping[str, Disk]
    told: Mapping[str, Mapping[str, Sequence[Told]]]
    asked: Mapping[str, Collection[str]]

    @property
    def kept(self) -> list[Kept]:
        return [each for disk in self.disks.values() for each in disk.kept]


def read_central(path: Path) -> tuple[list[Row], dict[str, Row]]:
    """The rows of Central's sessions, and its requests by id; Central may run meanwhile."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)) as database:
        database.row_factory = sqlite3.Row
        sessions = [dict(row) for row in database.execute("SELECT * FROM charging_sessions")]
        requests = [dict(row) for row in database.execute("SELECT * FROM requests")]
    return list(sessions), {row["request_id"]: row for row in requests}


def read_server(url: str) -> tuple[list[Row], dict[str, Row]]:
    """The same of a database of a PostgreSQL server."""
    # Loaded late: most networks have a file.
    import psycopg
    from psycopg.rows import dict_row

    with psycopg.connect(url.replace("+psycopg", ""), row_factory=dict_row) as connection:
        sessions = connection.execute("SELECT * FROM charging_sessions").fetchall()
        requests = connection.execute("SELECT * FROM requests").fetchall()
    return list(sessions), {row["request_id"]: row for row in requests}


def read_disk(state_dir: Path) -> Disk:
    """The sessions on an engine's disk.  A running engine has it locked: a copy is read."""
    for _ in range(COPY_ATTEMPTS_MAX):
        with tempfile.TemporaryDirectory() as folder:
            for suffix in ("-wal", ""):
                source = state_dir / (FILE_NAME + suffix)
                if source.exists():
                    shutil.copy(source, folder)
            try:
                return _read_copy(Path(folder) / FILE_NAME)
            except sqlite3.DatabaseError:
                # Copied in the middle of a write.
                continue
    raise AssertionError(f"{state_dir / FILE_NAME} can't be read")


def _read_copy(path: Path) -> Disk:
    if not path.exists():
        return Disk((), ())
    with closing(sqlite3.connect(path)) as copy:
        kept = []
        for fields, crc, confirmed_ran_s in copy.execute(
            "SELECT fields, crc, confirmed_ran_s FROM records ORDER BY number"
        ):
            record = whole_record(fields, crc)
            if record is None:
                raise AssertionError(f"{path}: a record is damaged: {fields!r}")
            kept.append(Kept(record, confirmed_ran_s is not None))
        running = [row[0] for row in copy.execute("SELECT session_id FROM run")]
    return Disk(kept, running)


def read_told(printed: str) -> dict[str, list[Told]]:
    """The final lines of a driver's stdout, by request."""
    told: dict[str, list[Told]] = defaultdict(list)
    for line in printed.splitlines():
        parts = line.split(" | ", 4)
        if len(parts) == 5 and parts[1] in FINAL_STATUSES:
            told[parts[2]].append(Told(parts[1], parts[4]))
    return dict(told)


def gather(
    database: Path, engines: Mapping[str, Path], drivers: Mapping[str, tuple[str, str]]
) -> Facts:
    """The facts in Central's `database`, a file, and with the others as `gather_from` has them."""
    return gather_from(read_central(database), engines, drivers)


def gather_from(
    stored: tuple[Sequence[Row], Mapping[str, Row]],
    engines: Mapping[str, Path],
    drivers: Mapping[str, tuple[str, str]],
) -> Facts:
    """The facts in what Central has `stored`, in the `engines`' state directories by charging
    point, and in the stdout and the log of the `drivers`."""
    sessions, requests = stored
    return Facts(
        sessions,
        requests,
        {name: read_disk(state_dir) for name, state_dir in engines.items()},
        {name: read_told(printed) for name, (printed, _) in drivers.items()},
        {name: set(_ASKED.findall(logged)) for name, (_, logged) in drivers.items()},
    )


def facts_of(network: Network) -> Facts:
    """All that the parts of `network` wrote down."""
    drivers = [each for each in network.programs.values() if each.argv[0].endswith("evd-driver")]
    return gather_from(
        read_server(url) if (url := network.db_url) else read_central(network.database),
        {name: point.engine_state_dir for name, point in network.points.items()},
        {each.name: (each.printed(), each.logged()) for each in drivers},
    )


def open_sessions(facts: Facts) -> list[tuple[str, str]]:
    """The sessions that are not settled and done with, each with what has still to come."""
    stored = {row["session_id"] for row in facts.sessions}
    return [
        *(
            (row["session_id"], f"{row['session_id']} is ACTIVE")
            for row in facts.sessions
            if row["status"] == "ACTIVE"
        ),
        *(
            (each.record.session_id, f"{each.record.session_id} is not confirmed")
            for each in facts.kept
            if not each.confirmed
        ),
        # A Central that lost its database is sent again what the one before it had confirmed.
        *(
            (each.record.session_id, f"{each.record.session_id} is not stored by Central")
            for each in facts.kept
            if each.record.session_id not in stored
        ),
        *(
            (session_id, f"{name} runs {session_id}")
            for name, disk in facts.disks.items()
            for session_id in disk.running
        ),
    ]


def open_requests(facts: Facts) -> list[tuple[str, str]]:
    """The requests without a final status, at Central or at their driver, each with where."""
    return [
        *(
            (request_id, f"{request_id} is {row['status']}")
            for request_id, row in facts.requests.items()
            if row["status"] not in FINAL_STATUSES
        ),
        *(
            (request_id, f"{driver_id} was told no final status of {request_id}")
            for driver_id, asked in facts.asked.items()
            for request_id in asked
            if request_id not in facts.told[driver_id]
        ),
    ]


def unrest(facts: Facts) -> list[str]:
    """Everything that has still to come, in sentences."""
    return [text for _, text in (*open_sessions(facts), *open_requests(facts))]


def findings(
    facts: Facts, *, disks_lost: Collection[str] = (), central_lost: bool = False
) -> dict[Promise, list[str]]:
    """The broken promises, each with what breaks it; each promise is there, also where it holds.

    `disks_lost`: charging points whose engine's disk was thrown away, and who may have estimates.
    `central_lost`: Central's database was, and what it had decided is only known to drivers.
    """
    found: dict[Promise, list[str]] = {promise: [] for promise in Promise}
    for promise, text in (
        *_lost_sessions(facts, disks_lost),
        *_wrong_bills(facts),
        *_two_at_a_time(facts, "cp_id"),
        *_two_at_a_time(facts, "driver_id"),
        *_wrong_endings(facts, central_lost),
    ):
        found[promise].append(text)
    return found


def _lost_sessions(facts: Facts, disks_lost: Collection[str]) -> Iterable[Finding]:
    """Each session on a disk is one row with the same reading, and the other way round."""
    rows = defaultdict(list)
    for row in facts.sessions:
        rows[row["session_id"]].append(row)
    recorded = {each.record.session_id for each in facts.kept}
    for record in (each.record for each in facts.kept):
        found = rows[record.session_id]
        if len(found) != 1:
            promise = Promise.ONCE if found else Promise.KEPT
            yield promise, f"{record.session_id} is on its engine's disk and has {len(found)} rows"
            continue
        (row,) = found
        said = (True, False, record.cp_id, record.outcome.value, mwh_from_kwh(record.kwh))
        stored = (
            bool(row["settled"]),
            bool(row["estimated"]),
            row["cp_id"],
            row["status"],
            row["energy_mwh"],
        )
        if said != stored:
            text = f"{record.session_id} was recorded as {said} and is stored as {stored}"
            yield Promise.TOTALS, text
    for row in facts.sessions:
        if row["session_id"] in recorded or row["cp_id"] in disks_lost:
            continue
        if row["settled"] or row["estimated"] or row["energy_mwh"]:
            text = f"{row['session_id']} is on no engine's disk, and yet stored as {dict(row)}"
            yield Promise.KEPT, text


def _wrong_bills(facts: Facts) -> Iterable[Finding]:
    """One bill for one session, one session for one request."""
    for column in ("session_id", "request_id"):
        for value, count in Counter(row[column] for row in facts.sessions).items():
            if count > 1:
                yield Promise.ONCE, f"{count} rows have the {column} {value}"
    records = {each.record.session_id: each.record for each in facts.kept}
    for row in facts.sessions:
        if row["session_id"] != session_id_for(row["request_id"]):
            text = f"{row['session_id']} is not the session of {row['request_id']}"
            yield Promise.ONCE, text
        record = records.get(row["session_id"])
        if record is None:
            continue
        billed = row["billable"] and record.bill
        due = cents_from_euros(record.euros) if billed else 0
        if row["cost_cents"] != due:
            text = f"{row['session_id']} is billed {row['cost_cents']} cents instead of {due}"
            yield Promise.TOTALS, text


def _two_at_a_time(facts: Facts, whose: str) -> Iterable[Finding]:
    """A charging point, and a driver, has one session after the other."""
    spans = defaultdict(list)
    for record in (each.record for each in facts.kept):
        if record.started_at is not None:
            span = (record.started_at, record.ended_at, record.session_id)
            spans[getattr(record, whose)].append(span)
    for name, of_one in spans.items():
        for (_, ended_at, first), (started_at, _, second) in pairwise(sorted(of_one)):
            if started_at < ended_at:
                yield Promise.ONE_AT_A_TIME, f"{name} had {first} and {second} at one time"


def _wrong_endings(facts: Facts, central_lost: bool) -> Iterable[Finding]:
    """One final status a request, at its driver and at Central the same."""
    costs = {row["request_id"]: row for row in facts.sessions}
    for driver_id, told_of in facts.told.items():
        for request_id, told in told_of.items():
            statuses = {each.status for each in told}
            if len(statuses) > 1:
                text = f"{driver_id} was told of {request_id}: {sorted(statuses)}"
                yield Promise.ONE_ENDING, text
                continue
            (status,) = statuses
            stored = facts.requests.get(request_id)
            if stored is None:
                if not central_lost:
                    text = f"{request_id} ended {status} for {driver_id}, and Central has no word"
                    yield Promise.ONE_ENDING, text
                continue
            gave_up = told[0].text == NO_COORDINATOR and status == RequestStatus.FAILED
            if stored["status"] != status and not gave_up:
                text = f"{request_id} ended {status} for {driver_id} and {stored['status']} stored"
                yield Promise.ONE_ENDING, text
            yield from _wrong_totals(request_id, told, costs.get(request_id))


def _wrong_totals(request_id: str, told: Sequence[Told], row: Row | None) -> Iterable[Finding]:
    for totals in filter(None, (_TOTALS.search(each.text) for each in told)):
        if row is None:
            yield Promise.KEPT, f"{request_id} was billed to its driver and has no row"
            continue
        stored = (f"{row['total_kwh']:.3f}", f"{row['total_cost'] or 0:.2f}")
        if totals.group("kwh", "euros") != stored:
            text = f"{request_id}: told {totals.group('kwh', 'euros')}, stored {stored}"
            yield Promise.TOTALS, text


def _ended_or_repeated(network: Network, facts: Facts) -> Iterable[Finding]:
    """Each program that crashed, and each final line that came twice, by their own output."""
    for program in network.programs.values():
        if "| Crashed: " in program.logged() or program.ended_badly:
            yield Promise.ALIVE, f"{program.name} ended by itself: {program.logged()[-2000:]}"
    for driver_id, told_of in facts.told.items():
        # A driver that was killed may say again what it had said.
        if network.programs[driver_id].starts_count > 1:
            continue
        for request_id, told in told_of.items():
            if len(told) > 1:
                yield Promise.ONE_ENDING, f"{driver_id} was told {len(told)} times of {request_id}"


def check(
    network: Network,
    *,
    within_s: float = AT_REST_S_MAX,
    disks_lost: Collection[str] = (),
    central_lost: bool = False,
) -> Facts:
    """Wait until `network` is at rest, then hold it to its promises; what it wrote down."""
    return hold(
        lambda: facts_of(network),
        lambda facts: _ended_or_repeated(network, facts),
        within_s=within_s,
        disks_lost=disks_lost,
        central_lost=central_lost,
    )


def hold(
    look: Callable[[], Facts],
    more: Callable[[Facts], Iterable[Finding]],
    *,
    within_s: float,
    disks_lost: Collection[str] = (),
    central_lost: bool = False,
) -> Facts:
    """Wait until the facts that `look` gives are at rest, then hold them to the promises, and to
    `more` of them; returns the facts."""
    wait_until_none(lambda: unrest(look()), within_s, "at rest", LOOK_S)
    facts = look()
    found = findings(facts, disks_lost=disks_lost, central_lost=central_lost)
    for promise, text in more(facts):
        found[promise].append(text)
    broken = [f"{promise}: {text}" for promise, texts in found.items() for text in texts]
    assert not broken, "\n".join(broken)
    return facts
