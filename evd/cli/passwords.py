"""Passwords as the operator types them: never on a command line, never shown."""

import getpass
import sys
from typing import Final

from evd.cli.errors import ToolFailed

PASSWORD_CHARS_MIN: Final = 10
PASSWORD_CHARS_MAX: Final = 1024
# No character has more bytes in UTF-8; a line may end in two more.
_LINE_CHARS_MAX: Final = PASSWORD_CHARS_MAX + 3


def new_password(user: str) -> str:
    """A password from a terminal, asked twice, or the one line of standard input."""
    password = _asked(user) if sys.stdin.isatty() else _line()
    if not PASSWORD_CHARS_MIN <= len(password) <= PASSWORD_CHARS_MAX:
        raise ToolFailed(
            f"A password has {PASSWORD_CHARS_MIN} to {PASSWORD_CHARS_MAX} characters,"
            f" and this one {'more' if len(password) > PASSWORD_CHARS_MAX else len(password)}.",
            2,
        )
    return password


def _asked(user: str) -> str:
    password = getpass.getpass(f"Password of {user}: ")
    if getpass.getpass("Once more: ") != password:
        raise ToolFailed("The two are not the same.", 2)
    return password


def _line() -> str:
    try:
        line = sys.stdin.readline(_LINE_CHARS_MAX)
    except UnicodeDecodeError:
        raise ToolFailed("The password on standard input is not UTF-8.", 2) from None
    return line.removesuffix("\n").removesuffix("\r")
