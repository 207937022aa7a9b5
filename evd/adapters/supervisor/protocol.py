"""The one interface of every supervisor to the operator's tool.

A process is named as its supervisor names it, such as `evd-engine:CP-001` or `evd-central`.
"""

import contextlib
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Protocol

import attrs


class SupervisorFailed(Exception):
    """The supervisor can't be reached, or refused; the text is a sentence for a person."""


@contextlib.contextmanager
def naming_file(path: Path, verb: str) -> Iterator[None]:
    """Tell a failure of the disk in the block as SupervisorFailed: that one can't `verb` it."""
    try:
        yield
    except OSError as error:
        raise SupervisorFailed(f"Can't {verb} {path}: {error.strerror}.") from None


class Killed(SupervisorFailed):
    """The supervisor was killed; `count` of its processes are still there."""

    def __init__(self, count: int) -> None:
        super().__init__(
            f"supervisord was killed, and {count} of its processes still run:"
            " `evd down` stops them."
        )


class ProcessState(StrEnum):
    """The state of a process.  FAILING: it was started, died too soon, and is tried again."""

    RUNNING = "RUNNING"
    STARTING = "STARTING"
    FAILING = "FAILING"
    STOPPING = "STOPPING"
    STOPPED = "STOPPED"
    GIVEN_UP = "GIVEN_UP"


@attrs.frozen
class ProcessStatus:
    """One process: `up_s` since its start, None while it does not run; `detail` for a person."""

    name: str
    state: ProcessState
    pid: int | None
    up_s: float | None
    detail: str


@attrs.frozen
class Program:
    """A process as it is to be run: `group` is the program, `member` the id of its owner, if any.

    `arguments` are its flags, `environment` what is set for it besides.  The paths of its log are
    None where there is none; `output_log` is that of its standard output where it has its own.
    """

    group: str
    member: str | None
    arguments: tuple[str, ...]
    environment: Mapping[str, str] = attrs.field(factory=dict)
    log: Path | None = None
    output_log: Path | None = None
    # Whether it also has the variables of the shell that starts the network.
    inherits: bool = True

    @property
    def name(self) -> str:
        """The name that its supervisor knows it by."""
        return self.group if self.member is None else f"{self.group}:{self.member}"


@attrs.frozen
class Sync:
    """The difference between the programs that are defined and those that run, as names."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    # Their files say something new: `sync` takes that up for those that are stopped.
    changed: tuple[str, ...] = ()
    # They run, but nothing says any more that they should.
    orphaned: tuple[str, ...] = ()
    # The files of their logs are gone: what they write is lost until `sync`.
    logless: tuple[str, ...] = ()


@attrs.frozen
class CentralGiven:
    """How Central is to be asked, as far as the operator says it; None or () for what is not said.

    Several `urls` are those of Centrals of which one serves.
    """

    urls: tuple[str, ...] = ()
    token_file: Path | None = None
    tls_ca: Path | None = None


class Supervisor(Protocol):
    """Starts processes, restarts those that die, and can take up new ones.

    `conf` is the file that says what all of them share, such as their variables; `root` is the
    folder in which they run, `var` that of their state, and `log` the supervisor's own log, beside
    those of the programs; `logs_are` says to a person where those are.  `given` is what the
    operator says of Central.
    """

    name: str
    logs_are: str
    conf: Path
    root: Path
    var: Path
    log: Path
    given: CentralGiven

    def pid(self) -> int | None:
        """The supervisor's own process, None where it does not run."""

    def make_folders(self) -> None:
        """Make the folders that all of this needs; SupervisorFailed where they can't be."""

    def launch(self) -> "subprocess.Popen[bytes]":
        """Start the supervisor with all its programs as a child that ends with this process.

        Returns once it answers; its exit code is 0 where `shut_down` ended it.
        """

    def up(self) -> None:
        """Start the supervisor with all its programs, or make a running one have what is defined.

        Programs that run undefined are stopped, defined ones that do not run are started.
        """

    def shut_down(self) -> None:
        """Stop all processes, and then the supervisor; returns before it has happened."""

    def has_ended(self, pid: int) -> bool:
        """Whether all is over after `shut_down`; `pid` is the supervisor's process before it."""

    def end_at_once(self, pid: int) -> None:
        """SIGKILL all processes of a supervisor that takes too long for its end."""

    def left_behind(self) -> list[int]:
        """The processes that a supervisor that was killed has left running."""

    def programs(self) -> list[Program]:
        """Every program that is defined, running or not."""

    def status(self) -> list[ProcessStatus]:
        """Every process that the supervisor has."""

    def starts(self, seconds: int) -> dict[str, int]:
        """The number of starts of each process in the last `seconds`."""

    def start(self, names: Sequence[str]) -> None:
        """Start processes; those that run already are left alone."""

    def stop(self, names: Sequence[str]) -> None:
        """Stop processes and wait until they have stopped."""

    def kill(self, name: str) -> int:
        """SIGKILL a process; its number."""

    def add(self, unit: str, programs: Sequence[Program]) -> None:
        """Define the programs of `unit`, such as `cp-CP-007`, and start them with `sync`."""

    def remove(self, unit: str) -> None:
        """Forget the programs of `unit`; they must have stopped before `sync`."""

    def write_requests(self, driver_id: str, content: bytes) -> Path:
        """Keep a driver's requests where its program may read them; the file."""

    def token_file(self, unit: str) -> Path:
        """The file for the token of a unit's programs."""

    def write_token(self, unit: str, token: str) -> Path:
        """Keep a token where the programs of `unit` may read it, and nobody else; the file."""

    def remove_token(self, unit: str) -> None:
        """Remove the file of a unit's token; there may be none."""

    def file_of(self, name: str) -> Path:
        """The file that says how a program is run."""

    def file_of_variables(self, name: str) -> Path:
        """The file in which an operator sets a variable that a program has no flag for."""

    def journal(self, name: str, count: int, *, follow: bool = False) -> Iterator[str]:
        """The last lines of a program that has no file as its log; `follow`: without an end."""

    def central_urls(self) -> tuple[str, ...]:
        """Central's addresses where it runs elsewhere, as far as they are known here."""

    def central_ca(self) -> Path | None:
        """The file of those who vouch for a Central elsewhere, as far as it is known here."""

    def has(self, unit: str) -> bool:
        """Whether `unit` is defined."""

    def sync(self, names: Sequence[str] | None = None) -> Sync:
        """Make the running set what is defined, or only these; touch no other process."""

    def drift(self) -> Sync:
        """The difference that `sync` would act on."""
