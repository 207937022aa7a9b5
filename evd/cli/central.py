"""`evd central`: a copy of Central's database, and the way back to it."""

import argparse
import contextlib
import os
import pwd
from collections.abc import Iterator
from pathlib import Path

from evd.adapters.http.central_client import CentralAway, CentralRefused
from evd.adapters.supervisor.protocol import ProcessState, Supervisor
from evd.cli.access import add_yes, made_valid, refuse_unasked
from evd.cli.command_line import Verbs, add_actions, add_json, add_verb, answer
from evd.cli.errors import ToolFailed, sentence_of
from evd.cli.programs import CENTRAL, access_of, central_of, settings_of_central
from evd.cli.start_lock import changing


def add_verbs(verbs: Verbs) -> None:
    """Add `central backup`, `central restore`, `central accept` and `central handover`."""
    actions = add_actions(verbs, "central", "look after Central's database")
    text = "copy the database to a new file, also while Central runs"
    copy = add_verb(actions, "backup", text, _backup)
    text = "put a copy in its place; what was there is kept as .replaced"
    back = add_verb(actions, "restore", text, _restore)
    for parser in (copy, back):
        parser.add_argument("file", metavar="FILE", type=Path)
    text = "after a restore: nothing more is awaited, sessions may begin again"
    accept = add_verb(actions, "accept", text, _accept)
    text = "let a Central that stands by on the same database serve"
    for parser in (copy, back, accept, add_verb(actions, "handover", text, _hand_over)):
        add_json(parser)
    add_yes(back)


def _backup(supervisor: Supervisor, options: argparse.Namespace) -> int:
    config, copy = settings_of_central(supervisor), options.file.absolute()
    with _sentences(), contextlib.chdir(supervisor.root):
        # Loaded late: SQLAlchemy stands behind it.
        from evd.adapters.store.backup import backup

        backup(config.db_url, copy)
    with contextlib.suppress(CentralAway, CentralRefused):
        # One that runs notes it in its audit.
        access_of(supervisor).note_backup(str(copy))
    answer(options, {"file": str(copy)}, f"Copied Central's database to {options.file}")
    return 0


def _restore(supervisor: Supervisor, options: argparse.Namespace) -> int:
    with changing(supervisor):
        valid = restore(supervisor, options.file.absolute(), yes=options.yes)
    lines = [*made_valid(valid)] if any(valid.values()) else []
    answer(
        options,
        {"file": str(options.file.absolute()), **valid},
        *lines,
        f"Restored from {options.file}. Central begins no session until every charging point has"
        " sent what the copy lacks, or you say: evd central accept",
    )
    return 0


def _accept(supervisor: Supervisor, options: argparse.Namespace) -> int:
    central_of(supervisor).accept_recovery()
    told = "Accepted: Central awaits nothing more, and sessions may begin."
    answer(options, {"recovering": []}, told)
    return 0


def _hand_over(supervisor: Supervisor, options: argparse.Namespace) -> int:
    try:
        standbys = central_of(supervisor).hand_over()["standbys"]
    except CentralAway as error:
        if not error.is_sent:
            raise
        why = "It may hand over all the same: `evd status` says who serves."
        raise ToolFailed(f"{sentence_of(error)} {why}") from None
    told = f"Central hands over. Within seconds one of these serves: {', '.join(standbys)}"
    answer(options, {"standbys": standbys}, told)
    return 0


def restore(supervisor: Supervisor, copy: Path, *, yes: bool = False) -> dict[str, list[str]]:
    """Put `copy` in the place of the database; Central, where it runs, is stopped for it.

    The names of the users and tokens that become valid by it; ToolFailed where there are some and
    nobody has agreed to that.
    """
    config = settings_of_central(supervisor)
    # Known before Central is stopped for nothing.
    if not copy.is_file():
        raise ToolFailed(f"There is no file {copy}.", 2)
    with _sentences():
        from evd.adapters.store.backup import becomes_valid, check_backup
        from evd.adapters.store.backup import restore as put_back

        check_backup(config.db_url, copy)
        with contextlib.chdir(supervisor.root):
            users, tokens = becomes_valid(config.db_url, copy)
    valid = {"users": [*users], "tokens": [*tokens]}
    if not yes:
        refuse_unasked(valid)
    with _stopped(supervisor), _sentences(), contextlib.chdir(supervisor.root):
        config.state_dir.mkdir(mode=0o750, parents=True, exist_ok=True)
        put_back(config.db_url, config.state_dir, copy, by=f"local:{_own_name()}")
    return valid


def _own_name() -> str:
    """The name of whoever types this, as Central's audit has it."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


@contextlib.contextmanager
def _stopped(supervisor: Supervisor) -> Iterator[None]:
    """Central does not run during the block; if it ran before, it does afterwards."""
    running = supervisor.pid() is not None and any(
        each.name == CENTRAL and each.state is not ProcessState.STOPPED
        for each in supervisor.status()
    )
    if running:
        supervisor.stop([CENTRAL])
    try:
        yield
    finally:
        if running:
            supervisor.start([CENTRAL])


@contextlib.contextmanager
def _sentences() -> Iterator[None]:
    """Raise a failure of the database as a ToolFailed."""
    from evd.adapters.store.failures import StoreFailed, StoreRefused

    try:
        yield
    except (StoreFailed, StoreRefused) as error:
        raise ToolFailed(f"{error}.") from None
    except OSError as error:
        raise ToolFailed(f"{error.filename}: {error.strerror}.") from None
