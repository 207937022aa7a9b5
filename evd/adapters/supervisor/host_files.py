"""The files of variables of a host's units: /etc/evd/evd.env for all, and one for each process.

They are root's and the group's alone, for a variable may be one that not everybody should read.
"""

import grp
import os
import pwd
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import attrs

from evd.adapters.files.state_dir import write_secret, write_whole
from evd.adapters.supervisor.env_files import EnvFileWrong, read_variables, render_variables
from evd.adapters.supervisor.plugin import VARIABLES
from evd.adapters.supervisor.protocol import Program, SupervisorFailed, naming_file
from evd.adapters.supervisor.unit_states import TEMPLATES

GROUP: Final = "evd"
USER: Final = "evd"
CENTRAL: Final = "evd-central"
DRIVER: Final = "evd-driver"
# The unit itself says whose process it is.
ID_FLAGS: Final = {"evd-engine": "--cp-id", "evd-monitor": "--cp-id", DRIVER: "--driver-id"}

_CENTRAL_FILE: Final = "central"
_REQUESTS_FLAG: Final = "--requests-file"
# A new one takes them over from its neighbours: they say where the rest of the network is.
_SHARED_ENDINGS: Final = (
    *("_KAFKA_BOOTSTRAP", "_CENTRAL_HOST", "_CENTRAL_PORT", "_CENTRAL_URL"),
    *("_METRICS_HOST", "_HTTP_HOST", "_HTTP_HOSTS", "_HTTP_PROXIES"),
    *("_INSECURE", "_AUTH", "_TLS_CERT", "_TLS_KEY", "_TLS_CA", "_METRICS_TOKEN_FILE"),
)


@attrs.frozen
class HostFiles:
    """The files below `etc`, of units whose state is below `var`."""

    etc: Path
    var: Path
    group: str = GROUP
    user: str = USER

    @property
    def shared(self) -> Path:
        """The file that every unit of the host reads first."""
        return self.etc / "evd.env"

    def of(self, group: str, member: str | None) -> Path:
        """The file of one process."""
        return self.etc / group / f"{member or _CENTRAL_FILE}.env"

    def shared_variables(self) -> dict[str, str]:
        """The variables that every unit of the host has; SupervisorFailed where none can read."""
        return self._variables(self.shared)

    def programs(self) -> Iterator[Program]:
        """Every program of which there is a file; SupervisorFailed for one that can't be read."""
        shared = self.shared_variables()
        for group in (CENTRAL, *TEMPLATES):
            for path in self._files(group):
                yield self._program(group, path.stem, shared | self._variables(path))

    def _program(self, group: str, member: str, variables: Mapping[str, str]) -> Program:
        place = self.var / group
        if group == CENTRAL:
            environment = {**variables, "STATE_DIRECTORY": str(place)}
            return Program(group, None, (), environment, inherits=False)
        environment = {**variables, "STATE_DIRECTORY": str(place / member)}
        return Program(group, member, (ID_FLAGS[group], member), environment, inherits=False)

    def write(self, program: Program) -> None:
        """Write the file of a new program: its flags, and what its neighbours know of the rest."""
        path = self.of(program.group, program.member)
        with naming_file(path, "write"):
            variables = self._new_variables(program)
            path.parent.mkdir(mode=0o750, exist_ok=True)
            write_whole(path, render_variables(variables, "Written by evd.").encode())
            self._give_to_group(path)

    def write_requests(self, driver_id: str, content: bytes) -> Path:
        """Keep a driver's requests where its unit may read them, whatever home they come from."""
        path = self._requests_of(DRIVER, driver_id)
        with naming_file(path, "write"):
            path.parent.mkdir(mode=0o750, exist_ok=True)
            write_whole(path, content)
            self._give_to_group(path)
        return path

    def token_file(self, unit: str) -> Path:
        """The file of the token of a unit's programs."""
        return self.etc / "tokens" / unit

    def write_token(self, unit: str, token: str) -> Path:
        """Write the token of a unit's programs, which run as `user`, for that user alone."""
        path = self.token_file(unit)
        with naming_file(path, "write"):
            path.parent.mkdir(mode=0o750, exist_ok=True)
            os.chown(path.parent, -1, self._group_id())
            write_secret(path, f"{token}\n".encode(), (self._user_id(), self._group_id()))
        return path

    def remove_token(self, unit: str) -> None:
        """Remove the file of a unit's token; there may be none."""
        path = self.token_file(unit)
        with naming_file(path, "remove"):
            path.unlink(missing_ok=True)

    def remove(self, group: str, member: str) -> None:
        """Remove the files of a program; it may have none."""
        for path in (self.of(group, member), self._requests_of(group, member)):
            with naming_file(path, "remove"):
                path.unlink(missing_ok=True)

    def _new_variables(self, program: Program) -> dict[str, str]:
        prefix, member = VARIABLES[program.group], program.member or ""
        flags = dict(zip(program.arguments[::2], program.arguments[1::2], strict=True))
        flags.pop(ID_FLAGS[program.group])
        if requests := flags.get(_REQUESTS_FLAG):
            copy = self.write_requests(member, Path(requests).read_bytes())
            flags[_REQUESTS_FLAG] = str(copy)
        own = {prefix + each[2:].replace("-", "_").upper(): value for each, value in flags.items()}
        shared = self.shared_variables()
        known = {
            # A credential stands in a folder of its unit's own.
            name: value.replace(_unit(program.group, path.stem), _unit(program.group, member))
            for path in self._files(program.group)
            for name, value in self._variables(path).items()
            if name.endswith(_SHARED_ENDINGS) and name not in shared
        }
        return known | own

    def _requests_of(self, group: str, member: str) -> Path:
        return self.etc / group / f"{member}.requests"

    def _files(self, group: str) -> list[Path]:
        folder = self.etc / group
        try:
            return sorted(path for path in folder.iterdir() if path.suffix == ".env")
        except FileNotFoundError:
            return []
        except PermissionError:
            raise self._denied(folder) from None

    def _variables(self, path: Path) -> dict[str, str]:
        try:
            return read_variables(path.read_text())
        except FileNotFoundError:
            return {}
        except PermissionError:
            raise self._denied(path) from None
        except (OSError, UnicodeDecodeError, EnvFileWrong) as error:
            why = getattr(error, "strerror", None) or error
            raise SupervisorFailed(f"{path}: {why}.") from None

    def _denied(self, path: Path) -> SupervisorFailed:
        return SupervisorFailed(
            f"{path}: permission denied. Use sudo, or be in the group {self.group}."
        )

    def _give_to_group(self, path: Path) -> None:
        os.chown(path, -1, self._group_id())
        path.chmod(0o640)

    def _group_id(self) -> int:
        try:
            return grp.getgrnam(self.group).gr_gid
        except KeyError:
            raise SupervisorFailed(f"There is no group {self.group} on this host.") from None

    def _user_id(self) -> int:
        try:
            return pwd.getpwnam(self.user).pw_uid
        except KeyError:
            raise SupervisorFailed(f"There is no user {self.user} on this host.") from None


def _unit(group: str, member: str) -> str:
    """The folder that systemd names after a unit."""
    return f"/{group}@{member}.service/"
