"""The failures of the tool's commands, as sentences for a person."""

import sys
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from evd.adapters.http.central_client import CentralAway, CentralRefused
from evd.adapters.http.refused import STANDING_BY
from evd.core.wire.fields import printable

_REFUSALS: Final[Mapping[int, str]] = {
    HTTPStatus.UNAUTHORIZED: (
        "Central does not know who asks: {}. A token of yours is named by --token-file."
    ),
    HTTPStatus.FORBIDDEN: "Central refuses: permission denied: {}.",
    HTTPStatus.TOO_MANY_REQUESTS: "Central is asked too often: {}.",
}


class ToolFailed(Exception):
    """A command can't do what it was asked; the text is a sentence for a person.

    `exit_code` is 2 where the command itself was wrong, else 1.
    """

    def __init__(self, sentence: str, exit_code: int = 1) -> None:
        super().__init__(sentence)
        self.exit_code = exit_code


def say(failure: object, program: str = "evd") -> None:
    """Print a failure on stderr, as one line: no word in it steers a terminal."""
    print(f"{program}: {printable(str(failure))}", file=sys.stderr, flush=True)


def is_standby(error: CentralAway | CentralRefused) -> bool:
    """Whether the Central that was asked does not serve, so that another one does, or will soon."""
    return isinstance(error, CentralRefused) and error.code == STANDING_BY


def sentence_of(error: CentralAway | CentralRefused) -> str:
    """A failed call of Central's API as a sentence."""
    text = str(error).rstrip(".")
    if is_standby(error):
        return f"Central does not serve: {text}."
    if isinstance(error, CentralRefused):
        return _REFUSALS.get(error.status, "Central refuses: {}.").format(text)
    return f"{text[:1].upper()}{text[1:]}."
