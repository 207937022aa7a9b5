"""`evd central backup` and `restore`: a copy of Central's database, and the way back to it."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from evd.adapters.supervisor.protocol import ProcessState, Supervisor
from evd.cli.errors import ToolFailed
from evd.cli.network import CENTRAL, Network
from evd.config import CentralConfig


def back_up(network: Network, root: Path, copy: Path) -> None:
    """Copy the database to the new file `copy`, while Central runs or not."""
    config, copy = network.central_config(), copy.absolute()
    with _sentences(), contextlib.chdir(root):
        # Loaded late: SQLAlchemy stands behind it.
        from evd.adapters.store.backup import backup

        backup(config.db_url, copy)


def restore(network: Network, root: Path, copy: Path) -> None:
    """Put `copy` in the place of the database; Central, where it runs, is stopped for it."""
    config, copy = network.central_config(), copy.absolute()
    # Known before Central is stopped for nothing.
    if not copy.is_file():
        raise ToolFailed(f"There is no file {copy}.", 2)
    with _sentences():
        from evd.adapters.store.backup import check_backup

        check_backup(config.db_url, copy)
    with _stopped(network.supervisor):
        _restore(config, root, copy)


def _restore(config: CentralConfig, root: Path, copy: Path) -> None:
    with _sentences(), contextlib.chdir(root):
        from evd.adapters.store.backup import restore as put_back

        config.state_dir.mkdir(mode=0o750, parents=True, exist_ok=True)
        put_back(config.db_url, config.state_dir, copy)


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
    """What the database says of a failure, as the tool says it."""
    from evd.adapters.store.failures import StoreFailed, StoreRefused

    try:
        yield
    except (StoreFailed, StoreRefused) as error:
        raise ToolFailed(f"{error}.") from None
    except OSError as error:
        raise ToolFailed(f"{error.filename}: {error.strerror}.") from None
