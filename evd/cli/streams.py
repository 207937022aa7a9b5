"""Standard input, output and error, as the shell gave them: closed, full, or read by nobody."""

import os
import sys


def open_closed_streams() -> None:
    """Let a closed stream lead nowhere; otherwise the next file or socket would take its number."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode))


def flush_output() -> None:
    """Write what was printed; drop what can't be, for the interpreter would try again at its end.

    Raises OSError where something was dropped.
    """
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise
