"""Files of secrets: read only where nobody but their user can have read or written them."""

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from evd.adapters.files.regular_file import open_regular
from evd.core.access.roles import Role
from evd.core.access.tokens import TOKEN_FORM
from evd.flags import ConfigError

SECRET_BYTES_MAX: Final = 4096

_OF_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


def read_secret(path: Path, source: str, env: Mapping[str, str] = os.environ) -> str:
    """The line in a file; ConfigError names `source`, a flag, and never shows what is in it."""
    content = _read(path, source, env)
    if len(content) > SECRET_BYTES_MAX:
        raise ConfigError(f"{source}: {str(path)!r} has more than {SECRET_BYTES_MAX} bytes")
    try:
        text = content.decode().strip("\r\n")
    except UnicodeDecodeError:
        raise ConfigError(f"{source}: {str(path)!r} is not UTF-8") from None
    if not text or not text.isprintable():
        raise ConfigError(f"{source}: {str(path)!r} must hold one line of text")
    return text


def read_token(path: Path, source: str, role: Role) -> str:
    """The token of `role` in a file; ConfigError as `read_secret`."""
    token = read_secret(path, source)
    if TOKEN_FORM.fullmatch(token) is None or not token.startswith(f"evd_{role}_"):
        raise ConfigError(
            f"{source}: {str(path)!r} must hold a token: evd_{role}_ and 43 characters"
        )
    return token


def read_bearer(path: Path, source: str) -> str:
    """The token that a header carries; ConfigError as `read_secret`."""
    bearer = read_secret(path, source)
    if not bearer.isascii() or " " in bearer:
        raise ConfigError(f"{source}: {str(path)!r} must hold plain ASCII without spaces")
    return bearer


def check_secret_file(path: Path, source: str, env: Mapping[str, str] = os.environ) -> None:
    """ConfigError where the file can't be read, or others may read it."""
    _read(path, source, env)


def _read(path: Path, source: str, env: Mapping[str, str]) -> bytes:
    try:
        with open(open_regular(path), "rb") as file:
            if not _is_credential(path, env):
                _check_owner(os.fstat(file.fileno()), path, source)
            return file.read(SECRET_BYTES_MAX + 1)
    except OSError as error:
        raise ConfigError(f"{source}: {str(path)!r}: {error.strerror}") from None


def _check_owner(found: os.stat_result, path: Path, source: str) -> None:
    if found.st_uid != os.geteuid():
        raise ConfigError(f"{source}: {str(path)!r} must belong to the user that runs this program")
    if found.st_mode & _OF_OTHERS:
        mode = stat.S_IMODE(found.st_mode)
        raise ConfigError(f"{source}: {str(path)!r} has the mode {mode:04o}, and must have 0600")


def _is_credential(path: Path, env: Mapping[str, str]) -> bool:
    """Whether systemd made the file for this unit alone, with owner and mode of its own choice."""
    folder = env.get("CREDENTIALS_DIRECTORY")
    return bool(folder) and Path(os.path.abspath(path)).is_relative_to(str(folder))
