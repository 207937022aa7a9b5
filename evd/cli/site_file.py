"""The file of a site: its charging points and drivers with their settings, in TOML.

A key is a flag without its hyphens.  The monitor's own stand behind `monitor.`; its engine's port
it knows from `health_port`.  A driver's `requests` are the lines of its file.
"""

import json
import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import attrs

from evd.cli.names import PROGRAM_PREFIX
from evd.cli.programs import DRIVER, ENGINE, MONITOR
from evd.config import DriverConfig, EngineConfig, MonitorConfig
from evd.core.driver.requests_file import ANY_CP, RequestsFileError, parse_requests
from evd.flags import Flag, FlagTable, flags_of

POINT_KIND: Final = "charging_point"
DRIVER_KIND: Final = "driver"
TABLES: Final[Mapping[str, type[FlagTable]]] = {
    ENGINE: EngineConfig,
    MONITOR: MonitorConfig,
    DRIVER: DriverConfig,
}
# The programs of each kind; the settings of the first need no prefix.
GROUPS: Final = {POINT_KIND: (ENGINE, MONITOR), DRIVER_KIND: (DRIVER,)}
ID_KEYS: Final = {ENGINE: "cp_id", MONITOR: "cp_id", DRIVER: "driver_id"}
FLAGS: Final[Mapping[str, Mapping[str, Flag]]] = {
    group: {flag.key: flag for flag in flags_of(table)} for group, table in TABLES.items()
}
REQUESTS: Final = "requests"
REQUESTS_FILE: Final = "requests_file"
ENGINE_PORT: Final = "cp_e_port"
ACCESS: Final = "access"

_HEAD: Final = """\
# The charging points and drivers of a site: `evd import FILE` makes a network have them.
# A key is a flag of evd-engine or evd-driver (monitor.…: of evd-monitor); docs/configuration.md
# lists them. What is left out has its default; a port that is left out is chosen.
"""
_PREFIXES: Final = {ENGINE: "", DRIVER: "", MONITOR: "monitor."}
_NUMBER: Final = re.compile(r"(0|[1-9][0-9]{0,14})(\.[0-9]+)?")
_FIRST_HEADER: Final = re.compile(r"^\s*\[", re.MULTILINE)
_HEADER: Final = re.compile(r"\s*(?P<open>\[\[?)(?P<name>[^\]]+)\]")
_KEY: Final = re.compile(r"\s*(?P<key>[A-Za-z0-9_.\"' -]+?)\s*=\s*(?P<rest>.*)")
_SYNTAX: Final = re.compile(r"(?P<why>.*) \(at (line (?P<line>\d+), column \d+|end of document)\)")

# The kind and number of an entry, and the key in it.
_Place = tuple[str, int, str]


class SiteFileWrong(Exception):
    """A sentence on what is wrong, with the line and the field."""

    def __init__(self, line: int, field: str, why: str) -> None:
        super().__init__(f"line {line}: {field + ': ' if field else ''}{why}")


@attrs.frozen
class Entry:
    """A charging point or a driver: the texts of its programs' flags, by program and key.

    `requests` are a driver's, `requests_file` is the place where it has them now, and `around` are
    settings that its network gives it.  `lines` are those of the site's file, where the entry comes
    from one; the key "" is that of its header.
    """

    kind: str
    id: str
    settings: Mapping[str, Mapping[str, str]]
    requests: str | None = None
    lines: Mapping[str, int] = attrs.field(factory=dict, eq=False)
    requests_file: str | None = attrs.field(default=None, eq=False)
    around: Mapping[str, Mapping[str, str]] = attrs.field(factory=dict, eq=False)

    @property
    def unit(self) -> str:
        """The name of its unit."""
        return f"{'cp' if self.kind == POINT_KIND else 'driver'}-{self.id}"

    def wrong(self, field: str, why: str) -> SiteFileWrong:
        """An error of one of its fields."""
        line = self.lines.get(field) or self.lines.get(field.partition(".")[0])
        return SiteFileWrong(line or self.lines.get("", 1), f"{self.id}: {field}", why)


def field_of(group: str, key: str) -> str:
    """The name that a flag of a program has in the file."""
    return f"{_PREFIXES[group]}{key}"


def parse_site(text: str) -> list[Entry]:
    """The entries of a file, in its order; SiteFileWrong for the first that is wrong."""
    try:
        tables = tomllib.loads(text, parse_float=str)
    except tomllib.TOMLDecodeError as error:
        found = _SYNTAX.fullmatch(str(error))
        line = found["line"] if found is not None else None
        why = found["why"] if found is not None else str(error)
        at = int(line) if line else max(1, text.rstrip("\n").count("\n") + 1)
        raise SiteFileWrong(at, "", f"is no TOML: {why[:1].lower()}{why[1:]}") from None
    places = _places(text)
    if not isinstance(tables.get(ACCESS, ""), str):
        raise SiteFileWrong(places.get(("", 0, ACCESS), 1), ACCESS, "must be the name of a file")
    for name in tables:
        if name not in (*GROUPS, ACCESS):
            line = places.get(("", 0, name)) or places.get((name, 0, ""), 1)
            raise SiteFileWrong(line, name, "a site has [[charging_point]] and [[driver]] alone")
    entries = [
        _entry(kind, table, _lines_of(kind, number, places), text)
        for kind in GROUPS
        for number, table in enumerate(_array(kind, tables.get(kind, []), places))
    ]
    seen = Counter((entry.kind, entry.id) for entry in entries)
    for entry in reversed(entries):
        if seen[entry.kind, entry.id] > 1:
            raise entry.wrong("id", "is in the file twice")
    return entries


def access_file_of(text: str) -> str | None:
    """The file of users and tokens that a site's file names, which `parse_site` has read before."""
    before_tables = _FIRST_HEADER.split(text, 1)[0]
    named = tomllib.loads(before_tables).get(ACCESS)
    return None if named is None else str(named)


def _array(kind: str, value: Any, places: Mapping[_Place, int]) -> list[dict[str, Any]]:
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        line = places.get(("", 0, kind)) or places.get((kind, 0, ""), 1)
        raise SiteFileWrong(line, kind, f"must be [[{kind}]], once for each")
    return value


def _entry(kind: str, table: Mapping[str, Any], lines: Mapping[str, int], text: str) -> Entry:
    entry = Entry(kind, str(table.get("id", f"a {kind}")), {}, None, lines)
    settings: dict[str, dict[str, str]] = {group: {} for group in GROUPS[kind]}
    requests = None
    for key, value in table.items():
        if key == "id":
            _check_id(entry, value)
        elif key == "monitor" and kind == POINT_KIND and isinstance(value, dict):
            for own, each in value.items():
                settings[MONITOR][own] = _checked(entry, MONITOR, own, each)
        elif key == REQUESTS and kind == DRIVER_KIND:
            requests = _checked_requests(entry, value, text)
        else:
            group = GROUPS[kind][0]
            settings[group][key] = _checked(entry, group, key, value)
    if "id" not in table:
        raise entry.wrong("id", "is missing")
    return attrs.evolve(entry, settings=settings, requests=requests)


def _check_id(entry: Entry, value: object) -> None:
    group = GROUPS[entry.kind][0]
    try:
        FLAGS[group][ID_KEYS[group]].kind.parse(_text(entry, "id", value))
    except ValueError as error:
        raise entry.wrong("id", str(error)) from None
    if entry.kind == POINT_KIND and value == ANY_CP:
        raise entry.wrong("id", "in a request this means any charging point")
    if str(value).startswith(PROGRAM_PREFIX):
        raise entry.wrong("id", f"what begins with {PROGRAM_PREFIX!r} is a program")


def _checked(entry: Entry, group: str, key: str, value: object) -> str:
    field = field_of(group, key)
    if key == ID_KEYS[group]:
        raise entry.wrong(field, "stands as `id`")
    if key == REQUESTS_FILE:
        raise entry.wrong(field, f"stands as `{REQUESTS}`: the lines themselves")
    flag = FLAGS[group].get(key)
    if flag is None:
        raise entry.wrong(field, f"is no flag of {group}")
    text = _text(entry, field, value)
    try:
        flag.kind.read(text)
    except ValueError as error:
        raise entry.wrong(field, str(error)) from None
    return text


def _text(entry: Entry, field: str, value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise entry.wrong(field, "must be a text or a number")
    return str(value)


def _checked_requests(entry: Entry, value: object, text: str) -> str:
    requests = _text(entry, REQUESTS, value)
    try:
        parse_requests(requests)
    except RequestsFileError as error:
        line = entry.lines.get(REQUESTS, 1)
        # Behind opening quotes that end their line the first request stands in the next one.
        begun_below = text.split("\n")[line - 1].rstrip().endswith(('"""', "'''"))
        at = line + error.line_number - (0 if begun_below else 1)
        raise SiteFileWrong(at, f"{entry.id}: {REQUESTS}", error.why) from None
    return requests


def _lines_of(kind: str, number: int, places: Mapping[_Place, int]) -> dict[str, int]:
    return {key: line for (of, n, key), line in places.items() if (of, n) == (kind, number)}


def _places(text: str) -> dict[_Place, int]:
    """The lines of headers and keys.  tomllib, which read the text before, does not tell them."""
    found: dict[_Place, int] = {}
    counts: Counter[str] = Counter()
    section, prefix, closing = "", "", ""
    for at, line in enumerate(text.split("\n"), 1):
        if closing:
            closing = "" if closing in line else closing
        elif header := _HEADER.match(line):
            section, _, own = _bare(header["name"]).partition(".")
            counts[section] += header["open"] == "[["
            prefix = f"{own}." if own else ""
            found.setdefault((section, max(0, counts[section] - 1), own), at)
        elif key := _KEY.match(line):
            number = max(0, counts[section] - 1)
            found.setdefault((section, number, prefix + _bare(key["key"])), at)
            quotes = key["rest"][:3]
            if quotes in ('"""', "'''") and quotes not in key["rest"][3:]:
                closing = quotes
    return found


def _bare(name: str) -> str:
    """A name with dots, without blanks and quotes."""
    return ".".join(part.strip().strip("\"'") for part in name.split("."))


def render_site(entries: Iterable[Entry], access: str | None = None) -> str:
    """The file of these, as `parse_site` reads it; `access` is the file of users and tokens."""
    named = "" if access is None else f"{ACCESS} = {_quoted(access)}\n"
    return (
        _HEAD + named + "".join("\n" + "".join(f"{line}\n" for line in _lines(x)) for x in entries)
    )


def _lines(entry: Entry) -> Iterator[str]:
    yield f"[[{entry.kind}]]"
    yield f"id = {_quoted(entry.id)}"
    for group in GROUPS[entry.kind]:
        for key, text in entry.settings.get(group, {}).items():
            yield f"{field_of(group, key)} = {_value(FLAGS[group][key], text)}"
    if entry.requests is not None:
        lines = "\n".join(_quoted(line)[1:-1] for line in entry.requests.split("\n"))
        yield f'{REQUESTS} = """\n{lines}"""'


def _value(flag: Flag, text: str) -> str:
    is_number = isinstance(flag.kind.parse(text), int | float) and _NUMBER.fullmatch(text)
    return text if is_number else _quoted(text)


def _quoted(text: str) -> str:
    # The escapes of JSON are among TOML's, which wants DEL escaped too.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
