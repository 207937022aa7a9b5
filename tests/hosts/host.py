"""One host: Debian with systemd as its process 1, its own files, network and processes.

Its files lie in layers: the tree that all begin from, what provisioning added, and a disk of its
own.  That disk forgets what was not synced when the power is cut, and it can be full.
"""

import shutil
import signal
import subprocess
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import attrs

from tests.hosts import cgroups, netns
from tests.hosts.commands import CommandFailed, run
from tests.hosts.mounts import is_mounted, unmount
from tests.network import disks
from tests.network.waiting import NeverTrue, wait_until

INTERFACE: Final = "eth0"
DISK_MB: Final = 768
BOOT_S_MAX: Final = 120.0
OFF_S_MAX: Final = 90.0
BOOT_LOOK_S: Final = 0.1
# The exit code of systemd-nspawn when its host rebooted.
REBOOTED: Final = 133
# A command that enters a host has this machine's privileges: these would change the real machine.
_DROPPED: Final = "-sys_time,-sys_module,-sys_rawio,-syslog,-wake_alarm,-bpf,-perfmon"
_ENVIRONMENT: Final = ("env", "-i", "PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "LANG=C")
# A shell joins the control groups that are named before `--`, then becomes what is named after it.
_JOIN: Final = 'while [ "$1" != -- ]; do echo 0 > "$1"; shift; done; shift; exec "$@"'


@attrs.define(eq=False)
class Host:
    """A host of a lab; off at first."""

    lab: str
    name: str
    address: str
    base: Path
    folder: Path
    # The public key that may log in as root, and the addresses of all hosts by name.
    public_key: Path
    addresses: Mapping[str, str]
    _process: "subprocess.Popen[bytes] | None" = None
    _stack: ExitStack = attrs.Factory(ExitStack)

    @property
    def namespace(self) -> str:
        """The name of its network namespace."""
        return f"{self.lab}-{self.name}"

    @property
    def root(self) -> Path:
        """Its files, as this machine sees them; also while it is off."""
        return self.folder / "root"

    @property
    def is_up(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def _cgroup(self) -> str:
        return f"{self.lab}/{self.name}"

    @property
    def _provisioned(self) -> Path:
        return self.folder / "provisioned"

    @property
    def _disk(self) -> Path:
        return self.folder / "disk"

    @property
    def _journal(self) -> Path:
        return self.folder / "journal"

    def boot(self) -> None:
        """Switch it on; returns when it takes commands.  Its services may still be starting."""
        if not is_mounted(self.root):
            self._mount()
        command = (
            *netns.prefix(self.namespace),
            *("systemd-nspawn", "--quiet", f"--directory={self.root}", "--boot"),
            *(f"--machine={self.namespace}", f"--hostname={self.name}"),
            f"--network-namespace-path={netns.path_of(self.namespace)}",
            # It outlives a cut of the power: a test wants to read what was said last before it.
            f"--bind={self._journal}:/var/log/journal",
            *("--register=no", "--keep-unit", "--link-journal=no", "--console=pipe"),
            *("--resolv-conf=off", "--timezone=off", "--kill-signal=SIGRTMIN+3"),
            # IPAddressDeny= and the firewall need these.
            *("--system-call-filter=bpf", "--capability=CAP_BPF,CAP_PERFMON,CAP_NET_ADMIN"),
        )
        self._journal.mkdir(exist_ok=True)
        files = map(str, cgroups.make(self._cgroup))
        with (self.folder / "console.log").open("ab") as console:
            self._process = subprocess.Popen(
                ("sh", "-c", _JOIN, "join", *files, "--", *command),
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        wait_until(self._takes_commands, BOOT_S_MAX, f"{self.name} boots", BOOT_LOOK_S)

    def _takes_commands(self) -> bool:
        if not self.is_up:
            raise NeverTrue(f"{self.name} does not boot:\n{self.console()[-3000:]}")
        try:
            self.sh("systemctl is-active --quiet basic.target ssh.service")
        except (CommandFailed, FileNotFoundError, IndexError):
            # Process 1 is not there yet, or nobody answers for it.
            return False
        return True

    def _mount(self) -> None:
        if self._provisioned.is_dir():
            if not is_mounted(self._disk):
                self._stack.enter_context(disks.small_disk(self._disk, "ext4", DISK_MB))
            lower = f"{self._provisioned}:{self.base}"
        else:
            lower = str(self.base)
        upper, work = self._disk / "files", self._disk / "work"
        for folder in (upper, work, self.root):
            folder.mkdir(parents=True, exist_ok=True)
        layers = f"lowerdir={lower},upperdir={upper},workdir={work}"
        run("mount", "-t", "overlay", self.namespace, "-o", layers, self.root)
        if not self._provisioned.is_dir():
            self._name()

    def _name(self) -> None:
        """Give it the files that tell one host from another."""
        etc, ssh = self.root / "etc", self.root / "root" / ".ssh"
        (etc / "hostname").write_text(f"{self.name}\n")
        machine_id = uuid.uuid5(uuid.NAMESPACE_DNS, self.name).hex
        (etc / "machine-id").unlink(missing_ok=True)
        (etc / "machine-id").write_text(f"{machine_id}\n")
        (etc / "resolv.conf").unlink(missing_ok=True)
        (etc / "resolv.conf").write_text("")
        known = "".join(f"{address} {name}\n" for name, address in self.addresses.items())
        (etc / "hosts").write_text(f"127.0.0.1 localhost\n{known}")
        ssh.mkdir(mode=0o700, exist_ok=True)
        shutil.copy(self.public_key, ssh / "authorized_keys")

    def sh(self, script: str, timeout_s: float = 60.0) -> str:
        """Run a shell's script in it as root; its stdout.  Raises CommandFailed."""
        return run(*self.command("sh", "-c", script), timeout_s=timeout_s)

    def command(self, *command: str) -> tuple[str, ...]:
        """A command of this machine that runs `command` in the host, which must be up."""
        enter = ("nsenter", "--target", self._first_process(), "--all")
        return (*enter, "setpriv", "--bounding-set", _DROPPED, *_ENVIRONMENT, *command)

    def _first_process(self) -> str:
        if self._process is None:
            raise CommandFailed(f"{self.name} is off")
        # `sh` has become `nsenter` and then `systemd-nspawn`, whose child is the host's process 1.
        pid = self._process.pid
        return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0]

    def console(self) -> str:
        path = self.folder / "console.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def journal(self, *options: str) -> str:
        """Its journal since it was provisioned, over all its starts; it may be off."""
        command = ("journalctl", f"--directory={self._journal}", "--quiet", "--no-pager", *options)
        return run(*command)

    def power_off(self) -> None:
        """Shut it down in an orderly way."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(OFF_S_MAX)
            self._process = None

    def lose_power(self) -> None:
        """End it in one moment; what it had not synced to its disk is gone."""
        if is_mounted(self._disk):
            disks.cut_power(self._disk)
        self._kill()
        unmount(self.root)
        if is_mounted(self._disk):
            disks.restore_power(self._disk)

    def reboot(self) -> None:
        """`systemctl reboot` in it; returns when it takes commands again."""
        if self._process is None:
            raise CommandFailed(f"{self.name} is off")
        self.sh("systemctl reboot --no-block")
        code = self._process.wait(OFF_S_MAX)
        if code != REBOOTED:
            raise CommandFailed(f"{self.name} ended with {code} instead of booting anew")
        self.boot()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Let nothing in it run within the block; its network goes on taking packets."""
        cgroups.freeze(self._cgroup, True)
        try:
            yield
        finally:
            cgroups.freeze(self._cgroup, False)

    @contextmanager
    def full_disk(self) -> Iterator[None]:
        """Let its disk have no byte left within the block, whatever is given back."""
        with disks.kept_full(self._disk):
            yield

    def keep_as_provisioned(self) -> None:
        """Make of its files, as they are, what each `reset` goes back to; it must be off."""
        unmount(self.root)
        (self._disk / "files").rename(self._provisioned)
        shutil.rmtree(self._disk)

    def reset(self) -> None:
        """Throw away what happened since it was provisioned, and boot it."""
        self.release()
        for path in (self._disk, self._disk.with_suffix(".image"), self._journal):
            if path.exists():
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        self.boot()

    def release(self) -> None:
        """End it in one moment, and let go of its files."""
        self._kill()
        unmount(self.root)
        self._stack.close()

    def _kill(self) -> None:
        cgroups.kill(self._cgroup)
        if self._process is not None:
            self._process.wait(OFF_S_MAX)
            self._process = None
