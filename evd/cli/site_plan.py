"""The differences between a site's file and a network, and what has to be done about them."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import attrs

from evd.adapters.files.regular_file import open_regular
from evd.adapters.supervisor.protocol import Program, Supervisor
from evd.cli.errors import ToolFailed
from evd.cli.ports import (
    DASHBOARD_PORTS,
    HEALTH_PORTS,
    METRICS_PORTS,
    Endpoint,
    PortChoice,
    describe_holder,
    double_use,
    endpoints,
    given_twice,
    is_free,
    settings,
)
from evd.cli.programs import DRIVER, ENGINE, MONITOR
from evd.cli.site_file import (
    DRIVER_KIND,
    ENGINE_PORT,
    FLAGS,
    GROUPS,
    ID_KEYS,
    POINT_KIND,
    REQUESTS,
    REQUESTS_FILE,
    TABLES,
    Entry,
    field_of,
)
from evd.config import REQUESTS_FILE_BYTES_MAX
from evd.flags import ConfigError, given_texts

HEALTH_PORT: Final = "health_port"
TOKEN_FILE: Final = "token_file"

# The ports that are chosen for a new program where the file gives none.
_PORTS: Final[Mapping[str, Mapping[str, Sequence[int]]]] = {
    ENGINE: {HEALTH_PORT: HEALTH_PORTS, "metrics_port": METRICS_PORTS},
    MONITOR: {"metrics_port": METRICS_PORTS},
    DRIVER: {"http_port": DASHBOARD_PORTS, "metrics_port": METRICS_PORTS},
}
# These say where the rest of a network is: as variables they belong to the network, or to the host,
# and a program that is made there gets them by itself.
_OF_NETWORK: Final = {
    *("kafka_bootstrap", "central_host", "central_port", "central_url"),
    *("metrics_host", "http_host", "http_hosts"),
    *("insecure", "auth", "tls_cert", "tls_key", "tls_ca", "metrics_token_file"),
    *("http_rate", "http_burst", "http_proxies"),
}


@attrs.frozen
class Difference:
    """An entry that is new (`old` is None) or changed, as it is to be; `news` says how."""

    old: Entry | None
    new: Entry
    news: tuple[str, ...] = ()


@attrs.frozen
class Plan:
    """A file against a network: what is to be made, what stays, what the file does not have."""

    differences: Sequence[Difference]
    same: Sequence[Entry]
    surplus: Sequence[Entry]

    def told(self, *, remove: bool) -> Iterator[str]:
        """A line for each difference, and one for all that stays as it is."""
        for each in self.differences:
            sign = "+" if each.old is None else "~"
            yield f"{sign} {each.new.id}: {', '.join(each.news)}"
        for entry in self.surplus:
            told = "is removed" if remove else "is not in the file, and stays (or: --remove)"
            yield f"{'-' if remove else '?'} {entry.id}: {told}"
        yield f"The same: {len(self.same)}"

    def fields(self) -> dict[str, Any]:
        """The same for a script: what is new, what changes and how, what stays, what is over."""
        new = [_named(each.new) for each in self.differences if each.old is None]
        changed = [
            {**_named(each.new), "news": [*each.news]}
            for each in self.differences
            if each.old is not None
        ]
        return {
            "new": new,
            "changed": changed,
            "same": [_named(entry) for entry in self.same],
            "not_in_file": [_named(entry) for entry in self.surplus],
        }


def _named(entry: Entry) -> dict[str, str]:
    return {"kind": entry.kind, "id": entry.id}


def present(supervisor: Supervisor) -> dict[str, Entry]:
    """The charging points and drivers that are defined, by their units, sorted."""
    found: dict[tuple[str, str], dict[str, Program]] = {}
    for program in supervisor.programs():
        if program.group in TABLES and program.member is not None:
            kind = DRIVER_KIND if program.group == DRIVER else POINT_KIND
            found.setdefault((kind, program.member), {})[program.group] = program
    entries = (_entry(supervisor, *each, found[each]) for each in sorted(found))
    return {entry.unit: entry for entry in entries}


def flags_given_to(program: Program) -> dict[str, str]:
    """The flags of a program by their keys, but for its id."""
    try:
        texts = given_texts(TABLES[program.group], program.arguments)
    except ConfigError as error:
        raise ToolFailed(f"{program.name} can't be started: {error}.") from None
    texts.pop(ID_KEYS[program.group], None)
    return texts


def _variables_of(program: Program) -> dict[str, str]:
    """The variables of a program by the keys of their flags, but for its id."""
    texts = {
        key: program.environment.get(flag.variable, "")
        for key, flag in FLAGS[program.group].items()
        if key != ID_KEYS[program.group]
    }
    return {key: text for key, text in texts.items() if text}


def _entry(
    supervisor: Supervisor, kind: str, member: str, programs: Mapping[str, Program]
) -> Entry:
    texts, around = {}, {}
    for group, program in programs.items():
        variables = _variables_of(program)
        around[group] = {key: variables.pop(key) for key in _OF_NETWORK & variables.keys()}
        texts[group] = {**variables, **flags_given_to(program)}
    monitor = texts.get(MONITOR, {})
    if monitor.get(ENGINE_PORT) == texts.get(ENGINE, {}).get(HEALTH_PORT):
        monitor.pop(ENGINE_PORT, None)
    file = texts.get(DRIVER, {}).pop(REQUESTS_FILE, None)
    requests = None if file is None else _read(supervisor.root / file)
    return Entry(kind, member, texts, requests, requests_file=file, around=around)


def _read(path: Path) -> str:
    with open(open_regular(path), "rb") as file:
        content = file.read(REQUESTS_FILE_BYTES_MAX + 1)
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise ToolFailed(f"{path} is not UTF-8.") from None


def make_plan(supervisor: Supervisor, entries: Sequence[Entry]) -> Plan:
    """Compare, and choose the ports that the file leaves out.

    Raises SiteFileWrong where two programs would listen on one port, or somebody else does.
    """
    there, programs = present(supervisor), supervisor.programs()
    wanted = [
        _with_token_of(supervisor.root, _with_ports_of(entry, old), old)
        for entry in entries
        for old in [there.get(entry.unit)]
    ]
    units = {entry.unit: entry for entry in wanted}
    others = [each for each in programs if unit_of(each) not in units]
    # Before any is chosen: a choice must not take what the file gives to another.
    choice = PortChoice([*others, *(made for entry in wanted for made in programs_of(entry))])
    wanted = [
        entry if entry.unit in there else _with_ports_chosen(entry, choice) for entry in wanted
    ]
    _check_ports(supervisor, {entry.unit: entry for entry in wanted}, others, programs)
    differences, same = [], []
    for entry in wanted:
        old = there.get(entry.unit)
        news = ("new",) if old is None else tuple(_news(old, entry))
        if news:
            differences.append(Difference(old, entry, news))
        else:
            same.append(entry)
    return Plan(differences, same, [x for unit, x in there.items() if unit not in units])


def unit_of(program: Program) -> str:
    """The unit that a program of a charging point or driver belongs to, empty for another."""
    if program.group not in TABLES:
        return ""
    return f"{'driver' if program.group == DRIVER else 'cp'}-{program.member}"


def programs_of(entry: Entry) -> list[Program]:
    """The programs of an entry, with the requests file that it has."""
    made = []
    for group in GROUPS[entry.kind]:
        texts = {ID_KEYS[group]: entry.id, **entry.settings.get(group, {})}
        health_port = entry.settings.get(ENGINE, {}).get(HEALTH_PORT)
        if group == MONITOR and health_port is not None:
            texts.setdefault(ENGINE_PORT, health_port)
        if group == DRIVER and entry.requests_file is not None:
            texts[REQUESTS_FILE] = entry.requests_file
        flags = ((FLAGS[group][key].name, text) for key, text in texts.items())
        made.append(Program(group, entry.id, tuple(word for flag in flags for word in flag)))
    return made


def _with_ports_of(entry: Entry, old: Entry | None) -> Entry:
    """The entry with the ports that it has now, where its file leaves them out."""
    if old is None:
        return entry
    kept = {
        group: {key: text for key, text in texts.items() if key in _PORTS[group]}
        for group, texts in old.settings.items()
    }
    merged = {group: {**kept.get(group, {}), **texts} for group, texts in entry.settings.items()}
    return attrs.evolve(entry, settings=merged, requests_file=old.requests_file)


def _with_token_of(root: Path, entry: Entry, old: Entry | None) -> Entry:
    """The entry with the file of its token that it has now, where its file names none that is here.

    A site's file says where a token is, and not what it is.
    """
    made = {}
    for group, texts in entry.settings.items():
        path = texts.get(TOKEN_FILE)
        if path is None or not (root / path).exists():
            path = None if old is None else old.settings.get(group, {}).get(TOKEN_FILE)
        kept = {key: text for key, text in texts.items() if key != TOKEN_FILE}
        made[group] = kept if path is None else {**kept, TOKEN_FILE: path}
    return attrs.evolve(entry, settings=made)


def _with_ports_chosen(entry: Entry, choice: PortChoice) -> Entry:
    made = {}
    for group, texts in entry.settings.items():
        missing = {key: of for key, of in _PORTS[group].items() if key not in texts}
        flags = ((key, FLAGS[group][key].name, of) for key, of in missing.items())
        chosen = {key: str(choice.count_on(group, flag, of)) for key, flag, of in flags}
        made[group] = {**texts, **chosen}
    return attrs.evolve(entry, settings=made)


def _check_ports(
    supervisor: Supervisor,
    wanted: Mapping[str, Entry],
    others: Sequence[Program],
    programs: Sequence[Program],
) -> None:
    made = [each for entry in wanted.values() for each in programs_of(entry)]
    owners = {each.name: (wanted[unit_of(each)], each.group) for each in made}

    def refuse(endpoint: Endpoint, why: str) -> None:
        entry, group = owners[endpoint.program]
        key = endpoint.flag.removeprefix("--").replace("-", "_")
        raise entry.wrong(field_of(group, key), why)

    for one, other in given_twice([*others, *made]):
        for endpoint in (other, one):
            if endpoint.program in owners:
                sentence = double_use(one, other)
                refuse(endpoint, f"{sentence[:1].lower()}{sentence[1:]}")
        raise ToolFailed(f"{double_use(one, other)}: change {settings(one, other, supervisor)}.")
    own = {endpoint.port for endpoint in endpoints(programs)}
    for endpoint in endpoints(made):
        if endpoint.port not in own and not is_free(endpoint.host, endpoint.port):
            refuse(endpoint, f"port {endpoint.port} is in use{describe_holder(endpoint.port)}")


def _news(old: Entry, new: Entry) -> Iterator[str]:
    """Each setting that is another, with both values."""
    for group in GROUPS[new.kind]:
        after = new.settings.get(group, {})
        around = {key: old.around.get(group, {}).get(key) for key in after}
        before = {**around, **old.settings.get(group, {})}
        for key in {**before, **after}:
            parse = FLAGS[group][key].kind.parse
            one, other = before.get(key), after.get(key)
            if one is None or other is None or parse(one) != parse(other):
                field = field_of(group, key)
                yield f"{field} {one or 'by default'} -> {other or 'by default'}"
    if old.requests != new.requests:
        yield REQUESTS
