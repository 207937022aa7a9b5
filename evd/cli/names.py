"""The ids of charging points and drivers, as the operator names them."""

import re
import sys
from collections.abc import Callable, Collection, Sequence
from typing import Final

from evd.cli.errors import ToolFailed
from evd.core.driver.requests_file import ANY_CP
from evd.core.wire.fields import FieldError, check_cp_id, check_id

CHARS_SHOWN: Final = 80
# An id such as `evd-engine` could not be told from the group of all engines.
PROGRAM_PREFIX: Final = "evd-"

_NUMBERED: Final = re.compile(r"(?P<stem>.*?)(?P<number>[0-9]+)", re.S)

# Such as 7.5, 1-3, 1e3 and 0x7.
_LIKE_A_NUMBER: Final = re.compile(r"[0-9][0-9._-]*(e[0-9._-]*)?|0x[0-9a-f]+", re.I)

Check = Callable[[str], str]


def cp_ids_from(names: Sequence[str]) -> list[str]:
    """The charging points that the operator means, each once: `7` is CP-007."""
    return _checked(dict.fromkeys(map(_cp_id, names)), "an id", check_cp_id)


def new_cp_ids(names: Sequence[str], count: int) -> list[str]:
    """The ids of new charging points; `count` counts on from the only one."""
    cp_ids = _counted([_cp_id(name) for name in names], count, "id", "CP-007")
    if ANY_CP in cp_ids:
        raise ToolFailed(f"{ANY_CP!r} can't be an id: in a request it means any charging point.", 2)
    return _new(_checked(cp_ids, "an id", check_cp_id))


def new_driver_ids(names: Sequence[str], count: int) -> list[str]:
    """The ids of new drivers; `count` counts on from the only one."""
    driver_ids = _counted(names, count, "name", "driver-7")
    return _new(_checked(driver_ids, "a name", lambda name: check_id(name, "driver_id")))


def doubts(names: Sequence[str], known: Collection[str | None]) -> list[str]:
    """Why new ids may be slips of the finger, beside those that are `known`; no full stops."""
    there = {each.lower(): each for each in (*names, *known) if each is not None}
    found = []
    for name in names:
        if name in known:
            continue
        if (twin := there[name.lower()]) != name:
            found.append(f"{name} differs from {twin} by case alone")
        elif _LIKE_A_NUMBER.fullmatch(name) and not name.isdecimal():
            found.append(f"{name} looks like a number and is none")
    return found


def confirm(doubts: Sequence[str], *, yes: bool) -> None:
    """Return where the operator means it; ToolFailed where not, or where nobody can be asked."""
    if yes or not doubts:
        return
    told = ", ".join(doubts)
    if not sys.stdin.isatty():
        raise ToolFailed(f"{told}: nothing was added. If you mean it, say --yes.", 2)
    print(f"{told}. Add it all the same? [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise ToolFailed("Nothing was added.")


def _cp_id(name: str) -> str:
    return f"CP-{name.lstrip('0') or '0':0>3}" if name.isdecimal() else name


def _counted(starts: Sequence[str], count: int, what: str, such_as: str) -> list[str]:
    if count == 1:
        return list(starts)
    numbered = _NUMBERED.fullmatch(starts[0])
    if len(starts) > 1 or numbered is None:
        raise ToolFailed(f"--count needs one {what} that ends in a number, such as {such_as}.", 2)
    first, width = int(numbered["number"]), len(numbered["number"])
    return [f"{numbered['stem']}{first + n:0{width}d}" for n in range(count)]


def _checked(names: Sequence[str] | dict[str, None], what: str, check: Check) -> list[str]:
    for name in names:
        try:
            check(name)
        except FieldError as error:
            shown = repr(name[:CHARS_SHOWN])
            raise ToolFailed(f"{shown} can't be {what}: it {error.why}.", 2) from None
    return list(names)


def _new(names: list[str]) -> list[str]:
    for name in names:
        if name.startswith(PROGRAM_PREFIX):
            raise ToolFailed(
                f"{name!r} can't be added: what begins with {PROGRAM_PREFIX!r} is a program.", 2
            )
    if len(set(names)) < len(names):
        raise ToolFailed(f"Each can be added once: {', '.join(names)}.", 2)
    return names
