"""`make hosts`: brings what the tests on hosts need, where it is missing: Debian's own tools, and
the tree of files that every host begins from.

The tree is made once and kept outside the checkout.  Its packages come from where this machine's
own apt takes them.
"""

import argparse
import fcntl
import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.hosts import cgroups
from tests.hosts.commands import CommandFailed, run

# The hosts' release of Debian, whatever this machine's is: the wheels are for its Python.
SUITE: Final = "bookworm"
# Hosts have no registry: the tree holds every package that the roles ask for.
PACKAGES: Final = (
    *("systemd", "systemd-sysv", "dbus", "openssh-server", "sudo"),
    *("python3", "python3-venv", "python3-apt", "python3-packaging"),
    *("iproute2", "iputils-ping", "nftables", "procps"),
    *("openjdk-17-jre-headless", "prometheus", "postgresql"),
)
# Some of them run only where a role turns them on, the others would wake up a quiet host.
DISABLED: Final = (
    *("prometheus.service", "prometheus-node-exporter.service", "nftables.service"),
    "postgresql.service",
    *("prometheus-node-exporter-apt.timer", "prometheus-node-exporter-ipmitool-sensor.timer"),
    *("prometheus-node-exporter-mellanox-hca-temp.timer", "prometheus-node-exporter-nvme.timer"),
    *("prometheus-node-exporter-smartmon.timer", "fstrim.timer", "dpkg-db-backup.timer"),
    *("e2scrub_all.timer", "e2scrub_reap.service", "apt-daily.timer", "apt-daily-upgrade.timer"),
)
# Each program of this machine that is used, and Debian's package of it.
TOOLS: Final = {
    "debootstrap": "debootstrap",
    "systemd-nspawn": "systemd-container",
    "nft": "nftables",
    "ip": "iproute2",
    "nsenter": "util-linux",
    "setpriv": "util-linux",
    "ssh-keygen": "openssh-client",
    "mkfs.ext4": "e2fsprogs",
}
FETCH_S_MAX: Final = 900.0


class NotInstalled(Exception):
    """One sentence says what is missing, and why."""


def base_tree() -> Path:
    """The tree of files that hosts begin from; another list of packages gives another place."""
    key = hashlib.sha256(repr((SUITE, PACKAGES, DISABLED)).encode()).hexdigest()[:12]
    return _cache_directory() / f"{SUITE}-{key}"


def why_never() -> str:
    """Why this machine can boot no hosts, whatever is installed; empty where it can."""
    if os.geteuid() != 0:
        return "hosts are booted by root, and you are not root"
    if not cgroups.supported():
        return "this machine's control groups are not the hierarchies side by side that hosts need"
    return ""


def main(argv: Sequence[str] | None = None) -> int:
    """Bring what is missing, and say where the tree is; 1 with one sentence where it can't be."""
    parser = argparse.ArgumentParser(prog="make hosts", description=__doc__)
    parser.add_argument("--look", action="store_true", help="only say whether hosts can be booted")
    options = parser.parse_args(argv)
    try:
        if reason := why_never():
            raise NotInstalled(reason)
        if options.look:
            return 0
        _bring_tools()
        _bring_tree()
    except (NotInstalled, CommandFailed) as failure:
        print(f"make hosts: {failure}", file=sys.stderr)
        return 1
    print(f"The hosts' files: {base_tree()}")
    return 0


def _cache_directory() -> Path:
    caches = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(caches) / "evd" / "hosts"


def _bring_tools() -> None:
    missing = {package for program, package in TOOLS.items() if shutil.which(program) is None}
    if not missing:
        return
    if shutil.which("apt-get") is None:
        raise NotInstalled(f"this is no Debian, and lacks {', '.join(sorted(missing))}")
    print(f"Installing Debian's {', '.join(sorted(missing))}: hosts are booted by them", flush=True)
    _fetch("apt-get", "update", "-qq")
    _fetch("apt-get", "install", "-qq", "-y", "--no-install-recommends", *sorted(missing))


def _bring_tree() -> None:
    tree = base_tree()
    with _locked(tree.parent):
        if tree.is_dir():
            return
        print(
            f"Making the hosts' files from Debian {SUITE} (once; one to four minutes; 800 MB)",
            flush=True,
        )
        with tempfile.TemporaryDirectory(prefix="unfinished-", dir=tree.parent) as scratch:
            made = Path(scratch) / "tree"
            _fetch(
                *("debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}"),
                *(SUITE, str(made), _archive()),
            )
            run("systemctl", f"--root={made}", "--quiet", "disable", *_present(made, DISABLED))
            for package in (made / "var/cache/apt/archives").glob("*.deb"):
                package.unlink()
            made.rename(tree)


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Alone among the runs of this machine."""
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _fetch(*command: str) -> None:
    """Run a command that brings packages, and takes as long as the network and this machine do."""
    run(*command, timeout_s=FETCH_S_MAX)


def _archive() -> str:
    """The address of the archive that this machine's apt takes SUITE from."""
    _fetch("apt-get", "update", "-qq")
    listed = run(
        "apt-get",
        "indextargets",
        "--format=$(CODENAME) $(COMPONENT) $(REPO_URI)",
        "Identifier: Packages",
    )
    for codename, component, address in (line.split(maxsplit=2) for line in listed.splitlines()):
        if (codename, component) == (SUITE, "main"):
            return address
    raise NotInstalled(f"this machine's apt has no source of Debian {SUITE}: add one")


def _present(tree: Path, units: tuple[str, ...]) -> list[str]:
    return [unit for unit in units if (tree / "lib/systemd/system" / unit).exists()]


if __name__ == "__main__":
    sys.exit(main())
