"""Flags and variables, declared once: an attrs field is a flag, a variable and a line of help.

A field `heartbeat_timeout_s` of a class with PREFIX `CENTRAL_` is `--heartbeat-timeout` and
`CENTRAL_HEARTBEAT_TIMEOUT`.  The flag wins; an empty variable counts as not set.
"""

import argparse
import contextlib
import math
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, NoReturn, Protocol, TypeVar

import attrs

from evd import addresses
from evd.addresses import PORT_MAX
from evd.core.wire.fields import (
    EURO_RATE_MAX,
    KW_MAX,
    KW_MIN,
    SESSION_S_MAX,
    FieldError,
    check_cp_id,
    check_id,
    check_location,
    printable,
    why_outside,
)
from evd.version import VERSION

DURATION_S_MAX = 31_536_000.0
DURATION_S_MIN = 0.001
COUNT_MAX = 1_000_000
SHOWN_CHARS_MAX = 80

LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
LOG_FORMATS = ("text", "json")
ANSWERS = ("no", "yes")
AUTH_MODES = ("off", "warn", "required")
COLORS = ("auto", "always", "never")

_NUMBER = re.compile(
    r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?|[+-]?(nan|inf|infinity)", re.I
)
_WHOLE = re.compile(r"[+-]?[0-9]{1,18}")
_SECONDS_SUFFIX = "_s"


class ConfigError(Exception):
    """A mistake of the operator: a sentence that names the flag, the variable or the file."""


class PortInUse(ConfigError):
    """A port that another program holds."""


@attrs.frozen
class Kind:
    """The form of a flag's value: how its text is read, and how it is shown.

    `parse` raises ValueError with the reason, such as `must be from 1 to 65535`.
    """

    parse: Callable[[str], Any]
    metavar: str
    unit: str = ""
    # The value is never repeated in an error, because it may hold a password.
    secret: bool = False
    # The text that the bare flag stands for; empty where a value must follow.
    bare: str = ""

    def read(self, text: str) -> Any:
        """The value of `text`; ValueError says why it has none, with the text where that may be
        shown."""
        try:
            return self.parse(text)
        except ValueError as error:
            # The part of a URL before the @ may be a password too.
            if self.secret or "@" in text:
                raise
            shown = text if len(text) <= SHOWN_CHARS_MAX else text[:SHOWN_CHARS_MAX] + "…"
            raise ValueError(f"{error}, not {shown!r}") from None


@attrs.frozen
class Flag:
    """One flag of one program, as its help shows it."""

    name: str
    variable: str
    field: str
    kind: Kind
    text: str
    default: str
    required: bool

    @property
    def key(self) -> str:
        """Its name in a file, such as `health_port`."""
        return self.name.removeprefix("--").replace("-", "_")


class FlagTable(Protocol):
    """A configuration class, whose fields are the flags of PROGRAM, with its variables' PREFIX."""

    PROGRAM: ClassVar[str]
    PREFIX: ClassVar[str]
    __attrs_attrs__: ClassVar[Any]


C = TypeVar("C")


def flag(kind: Kind, text: str, *, default: Any = attrs.NOTHING, shown: str = "") -> Any:
    """An attrs field that is a flag.

    `shown` says in words what stands in for a missing value that the program works out by itself;
    without it and without a default the flag is required.
    """
    return attrs.field(default=default, kw_only=True, metadata={"flag": (kind, text, shown)})


def flags_of(table: type[FlagTable]) -> tuple[Flag, ...]:
    """The flags of a program, its own first and then those that it shares with others."""
    fields = sorted(attrs.fields(table), key=lambda field: field.inherited)
    return tuple(_flag_of(table, field) for field in fields)


def _flag_of(table: type[FlagTable], field: "attrs.Attribute[Any]") -> Flag:
    kind, text, shown = field.metadata["flag"]
    words = field.name.removesuffix(_SECONDS_SUFFIX)
    return Flag(
        name="--" + words.replace("_", "-"),
        variable=table.PREFIX + words.upper(),
        field=field.name,
        kind=kind,
        text=text,
        default=shown or _shown_default(field.default, kind),
        required=field.default is attrs.NOTHING and not shown,
    )


def _shown_default(default: object, kind: Kind) -> str:
    if default is None or default == ():
        return "none"
    if isinstance(default, bool):
        return ANSWERS[default]
    return f"{default} {kind.unit}".strip()


class _Help(argparse.RawTextHelpFormatter):
    """Keeps a flag's variable, default and unit on one line, so that they can be searched for."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=32)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ConfigError(message.removeprefix("argument "))


def read_flags(
    table: type[FlagTable], argv: Sequence[str], env: Mapping[str, str]
) -> dict[str, Any]:
    """The values that were given, by field, checked; ConfigError names what is wrong or missing.

    Prints the help or the release, and exits 0, when argv asks for it.
    """
    given = _given(table, argv)
    values = {}
    for each in flags_of(table):
        text, source = given[each.field], each.name
        if text is None:
            text, source = env.get(each.variable) or None, each.variable
        if text is not None:
            values[each.field] = parsed(each.kind, text, source)
        elif each.required:
            raise ConfigError(f"{each.name}: is required (or the variable {each.variable})")
    return values


def given_texts(table: type[FlagTable], argv: Sequence[str]) -> dict[str, str]:
    """The values in argv as they were written, by their flags' keys; ConfigError as above."""
    given = _given(table, argv)
    texts = ((each.key, given[each.field]) for each in flags_of(table))
    return {key: text for key, text in texts if text is not None}


def _given(table: type[FlagTable], argv: Sequence[str]) -> dict[str, str | None]:
    parser = _Parser(
        prog=table.PROGRAM,
        usage="%(prog)s [flags]",
        description=table.__doc__,
        epilog="A flag wins over its variable; an empty variable counts as not set.",
        formatter_class=_Help,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--version", action="version", version=f"%(prog)s {VERSION}", help="print the release"
    )
    for each in flags_of(table):
        default = "required" if each.required else f"default {each.default}"
        parser.add_argument(
            each.name,
            dest=each.field,
            nargs="?" if each.kind.bare else None,
            const=each.kind.bare or None,
            metavar=each.kind.metavar,
            help=f"{each.text}\n[{each.variable}, {default}]".replace("%", "%%"),
        )
    return vars(parser.parse_args(argv))


def parsed(kind: Kind, text: str, source: str) -> Any:
    """The value of `text`; ConfigError names its `source`: a flag, a variable or a file."""
    try:
        return kind.read(text)
    except ValueError as error:
        raise ConfigError(f"{source}: {error}") from None


def parse_or_exit(
    parse: Callable[[Sequence[str], Mapping[str, str]], C],
    argv: Sequence[str] | None = None,
    env: Mapping[str, str] | None = None,
) -> C:
    """The configuration, or the process ends with one line on stderr and code 2."""
    try:
        return parse(sys.argv[1:] if argv is None else argv, os.environ if env is None else env)
    except ConfigError as error:
        sys.exit(refuse(error))


def refuse(error: ConfigError) -> int:
    """Say on stderr, in exactly one line, what to correct; the exit code for it."""
    # A newline inside a value must not make two lines of one error.
    line = f"{Path(sys.argv[0]).name}: {printable(str(error))}\n"
    # The exit code tells alone where nobody reads stderr.
    with contextlib.suppress(OSError):
        os.write(2, line.encode(errors="backslashreplace"))
    return 2


def number(unit: str, low: float, high: float) -> Kind:
    """A finite number from `low` to `high`; a share has no unit."""
    of_unit = f" of {unit}" if unit else ""

    def parse(text: str) -> float:
        if _NUMBER.fullmatch(text) is None:
            raise ValueError(f"must be a number{of_unit}")
        value = float(text)
        if not math.isfinite(value):
            raise ValueError(f"must be a finite number{of_unit}")
        if why := why_outside(value, low, high, unit):
            raise ValueError(why)
        return value

    return Kind(parse, unit.upper() or "N", unit)


def whole(low: int, high: int, metavar: str = "N", unit: str = "") -> Kind:
    """A whole number from `low` to `high`."""

    def parse(text: str) -> int:
        if _WHOLE.fullmatch(text) is None or not low <= int(text) <= high:
            raise ValueError(f"must be a whole number from {low} to {high}")
        return int(text)

    return Kind(parse, metavar, unit)


def choice(names: Sequence[str]) -> Kind:
    """One of `names`, in capitals or not."""
    by_folded = {name.casefold(): name for name in names}

    def parse(text: str) -> str:
        if text.casefold() not in by_folded:
            raise ValueError(f"must be one of {', '.join(names)}")
        return by_folded[text.casefold()]

    return Kind(parse, "|".join(names))


def switch() -> Kind:
    """True where the flag stands alone or with `yes`, as its variable does."""
    answer = choice(ANSWERS)
    return Kind(lambda text: bool(answer.parse(text) == "yes"), answer.metavar, bare="yes")


def checked(check: Callable[[object, str], str], metavar: str) -> Kind:
    """A text in the form that `check` knows."""

    def parse(text: str) -> str:
        try:
            return check(text, "")
        except FieldError as error:
            raise ValueError(error.why) from None

    return Kind(parse, metavar)


def _path(text: str) -> Path:
    if not text or "\0" in text:
        raise ValueError("must be a path")
    return Path(text)


CP_ID = checked(check_cp_id, "ID")
DRIVER_ID = checked(check_id, "ID")
HOST = Kind(addresses.host, "HOST")
HOSTS = Kind(addresses.hosts, "HOST[,…]")
PORT = whole(1, PORT_MAX, "PORT")
PORT_OR_OFF = whole(0, PORT_MAX, "PORT")
BOOTSTRAP = Kind(addresses.bootstrap, "HOST:PORT[,…]")
DURATION = number("s", DURATION_S_MIN, DURATION_S_MAX)
DURATION_OR_NONE = number("s", 0.0, DURATION_S_MAX)
SESSION_DURATION = number("s", DURATION_S_MIN, SESSION_S_MAX)
KW = number("kW", KW_MIN, KW_MAX)
EURO_RATE = number("euro/kWh", 0.0, EURO_RATE_MAX)
COUNT = whole(1, COUNT_MAX)
RATE = number("requests/s", 0.0, float(COUNT_MAX))
LOCATION = checked(check_location, "TEXT")
PATH = Kind(_path, "PATH")
URLS = Kind(addresses.urls, "URL[,…]")
SERVERS = Kind(addresses.servers, "HOST[:PORT][,…]")
DB_URL = Kind(addresses.database_url, "URL", secret=True)
ORIGINS = Kind(addresses.origins, "ORIGIN[,…]")
NETWORKS = Kind(addresses.networks, "ADDRESS[/BITS][,…]")
AUTH = choice(AUTH_MODES)
LOG_LEVEL = choice(LOG_LEVELS)
LOG_FORMAT = choice(LOG_FORMATS)
COLOR = choice(COLORS)
YES_OR_NO = choice(ANSWERS)
SWITCH = switch()
