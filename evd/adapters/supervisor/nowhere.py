"""No supervisor: a machine without a network of its own, from which another's Central is asked."""

import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NoReturn

from evd.adapters.supervisor.protocol import (
    CentralGiven,
    ProcessStatus,
    Program,
    SupervisorFailed,
    Sync,
)


def _refuse() -> NoReturn:
    raise SupervisorFailed(
        "There is no network here: with --central-url its Central can be asked alone."
    )


class Nowhere:
    """A network of no program; what would change it raises SupervisorFailed."""

    name = "nothing"
    logs_are = "there are no logs here"

    def __init__(self) -> None:
        self.conf = self.root = self.var = self.log = Path("/")
        self.given = CentralGiven()

    def pid(self) -> int | None:
        """None: there is no supervisor."""
        return None

    def make_folders(self) -> None:
        """Refuse."""
        _refuse()

    def launch(self) -> "subprocess.Popen[bytes]":
        """Refuse."""
        _refuse()

    def up(self) -> None:
        """Refuse."""
        _refuse()

    def shut_down(self) -> None:
        """Refuse."""
        _refuse()

    def has_ended(self, _: int) -> bool:
        """True: nothing began."""
        return True

    def end_at_once(self, _: int) -> None:
        """Refuse."""
        _refuse()

    def left_behind(self) -> list[int]:
        """No process."""
        return []

    def programs(self) -> list[Program]:
        """None of them."""
        return []

    def status(self) -> list[ProcessStatus]:
        """No process."""
        return []

    def starts(self, _: int) -> dict[str, int]:
        """No process."""
        return {}

    def start(self, names: Sequence[str]) -> None:
        """Refuse."""
        _refuse()

    def stop(self, names: Sequence[str]) -> None:
        """Refuse."""
        _refuse()

    def kill(self, name: str) -> int:
        """Refuse."""
        _refuse()

    def add(self, unit: str, programs: Sequence[Program]) -> None:
        """Refuse."""
        _refuse()

    def remove(self, unit: str) -> None:
        """Refuse."""
        _refuse()

    def write_requests(self, driver_id: str, content: bytes) -> Path:
        """Refuse."""
        _refuse()

    def token_file(self, unit: str) -> Path:
        """Refuse."""
        _refuse()

    def write_token(self, unit: str, token: str) -> Path:
        """Refuse."""
        _refuse()

    def remove_token(self, unit: str) -> None:
        """Refuse."""
        _refuse()

    def file_of(self, name: str) -> Path:
        """Refuse."""
        _refuse()

    def file_of_variables(self, name: str) -> Path:
        """Refuse."""
        _refuse()

    def journal(self, name: str, count: int, *, follow: bool = False) -> Iterator[str]:
        """No line."""
        return iter(())

    def central_urls(self) -> tuple[str, ...]:
        """Nothing: the operator says it."""
        return ()

    def central_ca(self) -> Path | None:
        """None: the operator says it."""
        return None

    def has(self, unit: str) -> bool:
        """False: there is none."""
        return False

    def sync(self, names: Sequence[str] | None = None) -> Sync:
        """Refuse."""
        _refuse()

    def drift(self) -> Sync:
        """No difference."""
        return Sync()
