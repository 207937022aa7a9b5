"""Keys of a terminal, as they are pressed."""

import re
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

READ_BYTES: Final = 1024

_NAMES: Final = {
    "\x1b": "escape",
    "\r": "enter",
    "\n": "enter",
    "\x7f": "backspace",
    "\x08": "backspace",
    **{f"\x1b{lead}A": "up" for lead in "[O"},
    **{f"\x1b{lead}B": "down" for lead in "[O"},
    **{f"\x1b{lead}H": "home" for lead in "[O"},
    **{f"\x1b{lead}F": "end" for lead in "[O"},
    "\x1b[1~": "home",
    "\x1b[4~": "end",
    "\x1b[5~": "page_up",
    "\x1b[6~": "page_down",
}
# A sequence of a terminal, or one character.
_KEY: Final = re.compile(r"\x1b[\[O][0-9;]*[A-Za-z~]|.", re.S)


@contextmanager
def pressed_keys(descriptor: int) -> Iterator[None]:
    """Let the terminal give each key at once and show none; at the end it is as it was before."""
    before = termios.tcgetattr(descriptor)
    tty.setcbreak(descriptor)
    try:
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSAFLUSH, before)


def keys_in(data: bytes) -> Iterator[str]:
    """The keys that these bytes are: a character, or a name such as `page_up`."""
    for match in _KEY.finditer(data.decode(errors="ignore")):
        key = _NAMES.get(match[0], match[0])
        # A sequence that has no name here is no key.
        if len(key) == 1 or key in _NAMES.values():
            yield key
