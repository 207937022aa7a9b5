"""Several hosts and the network between them, made and taken down as a whole."""

import fcntl
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import attrs

from tests.hosts import cgroups, mounts, netns
from tests.hosts.commands import CommandFailed, run
from tests.hosts.host import Host
from tests.hosts.links import Links

# systemd-nspawn leaves a folder here for each host.
_PROPAGATE: Final = Path("/run/systemd/nspawn/propagate")
_ORDERS_FROM: Final = 254


@attrs.frozen
class Lab:
    """Hosts by name, on one network; all of it has the lab's id in its names."""

    lab_id: str
    folder: Path
    hosts: Mapping[str, Host]
    links: Links

    @property
    def key(self) -> Path:
        """The private key by which root of each host lets in."""
        return self.folder / "id"

    def each(self, do: Callable[[Host], object], *names: str) -> None:
        """Do it for these hosts, or all, at the same time."""
        hosts = [self.hosts[name] for name in names or self.hosts]
        with ThreadPoolExecutor(len(hosts)) as pool:
            list(pool.map(do, hosts))

    def up(self) -> None:
        """Make all of it, and boot every host; what a killed run left is taken down first."""
        self.down()
        self.folder.mkdir(mode=0o755)
        # In memory an fsync costs nothing: what a cut of the power loses is the file system's
        # matter.  Shared: what is unmounted here is so in the hosts' own lists of mounts as well.
        run("mount", "-t", "tmpfs", "-o", "mode=755", self.lab_id, self.folder)
        run("mount", "--make-shared", self.folder)
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.key)
        self.links.make(list(self.hosts.values()))
        for host in self.hosts.values():
            host.folder.mkdir()
        self.each(Host.boot)

    def keep_as_provisioned(self) -> None:
        """Shut every host down, and make of its files what each `reset` goes back to."""
        self.each(Host.power_off)
        self.each(Host.keep_as_provisioned)

    def reset(self) -> None:
        """Throw away what happened since the hosts were provisioned, and boot them all."""
        self.each(Host.reset)

    def down(self) -> None:
        """Leave nothing of this lab; it may have been made by another run."""
        self.each(Host.release)
        cgroups.kill(self.lab_id)
        mounts.unmount_all(self.folder)
        netns.remove_all(self.lab_id)
        cgroups.remove(self.lab_id)
        for left in _PROPAGATE.glob(f"{self.lab_id}-*"):
            shutil.rmtree(left)
        if self.folder.exists():
            self.folder.rmdir()


@contextmanager
def made(lab_id: str, network: str, names: Mapping[str, int], base: Path) -> Iterator[Lab]:
    """A lab whose hosts are up, on `network` (three numbers) with their own last number by name;
    nothing of it is left behind the block."""
    folder = Path(tempfile.gettempdir()) / f"evd-hosts-{lab_id}"
    addresses = {name: f"{network}.{number}" for name, number in names.items()}
    hosts = {
        name: Host(lab_id, name, address, base, folder / name, folder / "id.pub", addresses)
        for name, address in addresses.items()
    }
    lab = Lab(lab_id, folder, hosts, Links(lab_id, f"{network}.{_ORDERS_FROM}"))
    with _alone(lab_id):
        try:
            lab.up()
            yield lab
        finally:
            lab.down()


@contextmanager
def _alone(lab_id: str) -> Iterator[None]:
    """Have the lab for this run alone."""
    with Path(f"/run/lock/evd-hosts-{lab_id}").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CommandFailed(f"another run on this machine has the lab {lab_id}") from None
        yield
