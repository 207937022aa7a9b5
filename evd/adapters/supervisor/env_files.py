"""Files of variables, as systemd's EnvironmentFile= reads them: one `NAME=value` a line."""

import re
from collections.abc import Mapping
from typing import Final

# Nothing in it has a meaning of its own there.
_PLAIN: Final = re.compile(r"[A-Za-z0-9_.,:/@+%~-]*")
# Within double quotes a backslash takes the meaning from these alone.
_ESCAPED: Final = re.compile(r'(["\\`$])')
_LINE: Final = re.compile(r"\s*(?P<name>[A-Za-z_][A-Za-z0-9_]*)\s*=\s*(?P<value>.*?)\s*")
_PIECE: Final = re.compile(
    r"""'(?P<single>[^']*)'|"(?P<double>(?:[^"\\]|\\.)*)"|\\(?P<next>.)|(?P<plain>.)"""
)


class EnvFileWrong(Exception):
    """A line is no variable; the text says which, and why."""


def read_variables(text: str) -> dict[str, str]:
    """The variables of a file; where one is there twice, the last.  Raises EnvFileWrong."""
    found = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip()[0] in "#;":
            continue
        parts = _LINE.fullmatch(line)
        if parts is None:
            raise EnvFileWrong(f"line {number}: is no NAME=value")
        found[parts["name"]] = _unquoted(parts["value"])
    return found


def _unquoted(value: str) -> str:
    return "".join(_meaning(piece) for piece in _PIECE.finditer(value))


def _meaning(piece: "re.Match[str]") -> str:
    if piece["double"] is not None:
        return re.sub(r'\\(["\\`$])', r"\1", piece["double"])
    return next(
        each for each in (piece["single"], piece["next"], piece["plain"]) if each is not None
    )


def render_variables(variables: Mapping[str, str], head: str) -> str:
    """A file with the line `head` as a comment and these variables, in their order."""
    lines = [f"{name}={_quoted(value)}" for name, value in variables.items()]
    return "\n".join([f"# {head}", *lines, ""])


def _quoted(value: str) -> str:
    return value if _PLAIN.fullmatch(value) else '"' + _ESCAPED.sub(r"\\\1", value) + '"'
