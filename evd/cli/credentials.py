"""The tokens of charging points and drivers: made by Central, kept where their programs read them.

Both programs of a charging point read one file: the engine knows its own monitor by it.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import attrs

from evd.adapters.files.state_dir import write_secret
from evd.adapters.http.central_client import CentralAway, CentralRefused
from evd.adapters.supervisor.protocol import Program, Supervisor
from evd.cli.errors import ToolFailed, sentence_of
from evd.cli.programs import (
    Config,
    access_of,
    config_of,
    is_central_here,
    settings_of_central,
)
from evd.cli.reaching import TOKEN_FILE_FLAG, wants_tokens
from evd.cli.site_plan import TOKEN_FILE, present, programs_of
from evd.config import DriverConfig, EngineConfig, MonitorConfig


def with_tokens(
    supervisor: Supervisor, units: Mapping[str, Sequence[Program]]
) -> dict[str, list[Program]]:
    """The new programs of each unit with their token, where Central wants tokens.

    ToolFailed where one is wanted and can't be had; nothing is defined then.
    """
    made = {unit: list(programs) for unit, programs in units.items()}
    lacking = [unit for unit, programs in made.items() if not _have_token(supervisor, programs)]
    for unit in lacking:
        try:
            if not _are_wanted(supervisor):
                break
            token = new_token(supervisor, unit)
        except (CentralAway, CentralRefused) as error:
            why = sentence_of(error).rstrip(".")
            raise ToolFailed(
                f"{unit.partition('-')[2]} needs a token: {why}. Nothing was added."
            ) from None
        path = supervisor.write_token(unit, token)
        made[unit] = [_reading(program, path) for program in made[unit]]
    return made


def new_token(
    supervisor: Supervisor, unit: str, given: str | None = None, *, now: bool = False
) -> str:
    """A new token for the programs of `unit`, or `given` one; raises CentralAway and
    CentralRefused."""
    kind, _, member = unit.partition("-")
    access = access_of(supervisor)
    if kind == "driver":
        return access.new_driver_token(member, given, now=now)
    return access.new_cp_token(member, given, now=now)


def keep_token(supervisor: Supervisor, unit: str, token: str) -> tuple[Path, bool] | None:
    """Put a token where the programs of `unit` read theirs, None where they do not run here.

    The file, and whether their definition had to be changed: `evd reload` takes that up.
    """
    entry = present(supervisor).get(unit)
    if entry is None:
        return None
    configs = [config_of(each) for each in supervisor.programs() if each.member == entry.id]
    files = {path for each in configs if (path := _file_of(each)) is not None}
    if len(files) == 1 and all(_file_of(each) for each in configs if _takes_token(each)):
        path = supervisor.root / files.pop()
        if path == supervisor.token_file(unit):
            supervisor.write_token(unit, token)
        else:
            _replace(path, token)
        return path, False
    path = supervisor.write_token(unit, token)
    settings = {group: {**texts, TOKEN_FILE: str(path)} for group, texts in entry.settings.items()}
    supervisor.add(unit, programs_of(attrs.evolve(entry, settings=settings)))
    return path, True


def drop_token(supervisor: Supervisor, unit: str) -> str:
    """End a removed driver's tokens and remove their file; a sentence where Central can't."""
    supervisor.remove_token(unit)
    try:
        if unit.startswith("driver-") and _are_wanted(supervisor):
            access_of(supervisor).remove_driver(unit.partition("-")[2])
    except (CentralAway, CentralRefused) as error:
        if not isinstance(error, CentralRefused) or error.status != 404:
            return sentence_of(error)
    return ""


def _are_wanted(supervisor: Supervisor) -> bool:
    """Whether Central takes tokens; one that can't be asked from here is taken to want none.

    Raises CentralRefused where it does not know who asks.
    """
    if not supervisor.given.urls and is_central_here(supervisor):
        return wants_tokens(settings_of_central(supervisor))
    if not supervisor.given.urls and not supervisor.central_urls():
        return False
    try:
        return access_of(supervisor).auth() != "off"
    except CentralAway:
        # Its HTTP need not be open to this host.
        return False
    except CentralRefused as error:
        if error.status < 500:
            raise
        return False


def _have_token(supervisor: Supervisor, programs: Sequence[Program]) -> bool:
    """Whether all of them name a file, and it is there."""
    files = [_file_of(config_of(each)) for each in programs]
    return all(path is not None and (supervisor.root / path).exists() for path in files)


def _reading(program: Program, path: Path) -> Program:
    words = list(program.arguments)
    if TOKEN_FILE_FLAG in words:
        at = words.index(TOKEN_FILE_FLAG)
        del words[at : at + 2]
    return attrs.evolve(program, arguments=(*words, TOKEN_FILE_FLAG, str(path)))


def _takes_token(config: Config | None) -> bool:
    return isinstance(config, EngineConfig | MonitorConfig | DriverConfig)


def _file_of(config: Config | None) -> Path | None:
    if isinstance(config, EngineConfig | MonitorConfig | DriverConfig):
        return config.token_file
    return None


def _replace(path: Path, token: str) -> None:
    """Write another token into a file that somebody else has made, for the same owner."""
    try:
        status = path.stat()
        owner = (status.st_uid, status.st_gid)
    except FileNotFoundError:
        owner = (-1, -1)
    write_secret(path, f"{token}\n".encode(), owner)
