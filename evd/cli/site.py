"""`evd export` and `evd import`: the charging points and drivers of a network as one file."""

import argparse
import contextlib
import sys
from pathlib import Path
from typing import Final

import attrs

from evd.adapters.files.regular_file import open_regular
from evd.adapters.files.state_dir import write_whole
from evd.adapters.supervisor.protocol import Supervisor
from evd.cli.access import add_yes, export_access, import_access, named, read_copy
from evd.cli.command_line import Verbs, add_json, add_verb, print_json
from evd.cli.cp import Say, not_on, remove_charging_point
from evd.cli.credentials import with_tokens
from evd.cli.driver import remove_driver
from evd.cli.errors import ToolFailed, say
from evd.cli.programs import (
    DRIVER,
    READY_S,
    access_of,
    define,
    is_central_here,
    settings_of_central,
    wait_until_none,
)
from evd.cli.reaching import wants_tokens
from evd.cli.reload import take_up_changes
from evd.cli.site_file import (
    ACCESS,
    POINT_KIND,
    REQUESTS,
    Entry,
    SiteFileWrong,
    access_file_of,
    parse_site,
    render_site,
)
from evd.cli.site_plan import Difference, Plan, flags_given_to, make_plan, present, programs_of
from evd.cli.start_lock import changing

SITE_BYTES_MAX: Final = 64 * 1024 * 1024


def add_verbs(verbs: Verbs) -> None:
    """Add `export` and `import`."""
    text = "write the charging points and drivers, with their settings, as one file"
    parser = add_verb(verbs, "export", text, _export)
    parser.add_argument("file", metavar="FILE", type=Path, nargs="?", help="else: standard output")
    text = "make the charging points and drivers those of a file; what is the same runs on"
    parser = add_verb(verbs, "import", text, _import)
    parser.add_argument("file", metavar="FILE", type=Path)
    parser.add_argument("--dry-run", action="store_true", help="only show what would change")
    text = "also remove those that the file does not have, each after its session"
    parser.add_argument("--remove", action="store_true", help=text)
    text = "end the sessions of what changes, do not wait for them"
    parser.add_argument("--now", action="store_true", help=text)
    add_yes(parser)
    add_json(parser)


def _export(supervisor: Supervisor, options: argparse.Namespace) -> int:
    entries = present(supervisor).values()
    if options.file is None:
        sys.stdout.write(render_site(entries))
        return 0
    access = None
    if _has_access(supervisor):
        access = options.file.with_name(f"{options.file.name}.{ACCESS}")
        export_access(supervisor, access)
    text = render_site(entries, None if access is None else access.name)
    write_whole(options.file.absolute(), text.encode())
    beside = "" if access is None else f", and users and tokens, as hashes, to {access}"
    print(f"Wrote {options.file}{beside}")
    return 0


def _has_access(supervisor: Supervisor) -> bool:
    """Whether a Central runs here that asks its callers who they are."""
    if supervisor.given.urls or not is_central_here(supervisor):
        return False
    return wants_tokens(settings_of_central(supervisor))


def _import(supervisor: Supervisor, options: argparse.Namespace) -> int:
    # A script reads standard output, where nothing but its answer stands.
    told_to = sys.stderr if options.json else sys.stdout

    def tell(text: str) -> None:
        print(text, file=told_to, flush=True)

    try:
        text = _read(options.file)
        entries = parse_site(text)
        _take_up_access(supervisor, options, access_file_of(text))
        with contextlib.nullcontext() if options.dry_run else changing(supervisor):
            plan = make_plan(supervisor, entries)
            tell("\n".join(plan.told(remove=options.remove)))
            if not options.dry_run:
                _make(supervisor, plan)
    except SiteFileWrong as error:
        raise ToolFailed(f"{options.file}: {error}. Nothing was changed.", 2) from None
    running = supervisor.pid() is not None
    done: dict[str, str] = {}
    if not options.dry_run:
        for entry in plan.surplus if options.remove else ():
            with changing(supervisor):
                _remove(supervisor, entry, tell)
            done[entry.id] = "Removed"
        if running:
            done |= take_up_changes(supervisor, None, now=options.now, told_to=told_to)
            made = [x.new.id for x in plan.differences if x.new.kind == POINT_KIND]
            wait_until_none(lambda: not_on(supervisor, made) if made else [], READY_S, "why")
        tell("Done" if running else "Done (the network does not run: `evd up` starts it)")
    if options.json:
        dry_run = options.dry_run
        print_json({**plan.fields(), "dry_run": dry_run, "running": running, "done": done})
    return 0


def _take_up_access(supervisor: Supervisor, options: argparse.Namespace, name: str | None) -> None:
    """Let in whom the file beside the site's names; ToolFailed where nobody has agreed to that."""
    if name is None:
        return
    if not _has_access(supervisor):
        why = "no Central runs here that asks its callers who they are"
        say(f"{name} is left: {why}.")
        return
    copy = read_copy(options.file.parent / name)
    if options.dry_run:
        outcome = access_of(supervisor).import_access(copy, apply=False)
    else:
        outcome = import_access(supervisor, copy, yes=options.yes)
    print("\n".join(f"{name}: {line}" for line in named(outcome)), flush=True)


def _read(path: Path) -> str:
    with open(open_regular(path), "rb") as file:
        content = file.read(SITE_BYTES_MAX + 1)
    if len(content) > SITE_BYTES_MAX:
        raise ToolFailed(f"{path} has more than {SITE_BYTES_MAX} bytes.", 2)
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise SiteFileWrong(content.count(b"\n", 0, error.start) + 1, "", "is not UTF-8") from None
    return text.removeprefix("\ufeff")


def _make(supervisor: Supervisor, plan: Plan) -> None:
    """Define what is new or changed; a new one is started, a changed one runs on as it is."""
    before = {each.name: each for each in supervisor.programs()}
    entries = [_with_requests(supervisor, each) for each in plan.differences]
    # One half of a charging point may stay as it is, to the letter.
    made = {
        entry.unit: [
            old if (old := before.get(x.name)) and flags_given_to(old) == flags_given_to(x) else x
            for x in programs_of(entry)
        ]
        for entry in entries
    }
    new = {x.new.unit for x in plan.differences if x.old is None}
    for unit, programs in made.items():
        if unit not in new:
            supervisor.add(unit, programs)
    define(supervisor, with_tokens(supervisor, {unit: made[unit] for unit in new}))
    if supervisor.pid() is None:
        return
    # Only a start reads the requests, and the definition says nothing of them.
    seen = {*supervisor.drift().changed}
    up = {each.name for each in supervisor.status() if each.pid is not None}
    read = {f"{DRIVER}:{x.new.id}" for x in plan.differences if REQUESTS in x.news}
    drivers = sorted((read & up) - seen)
    supervisor.stop(drivers)
    supervisor.start(drivers)


def _with_requests(supervisor: Supervisor, difference: Difference) -> Entry:
    """The entry with its requests in a file."""
    old, new = difference.old, difference.new
    if new.requests is None:
        return attrs.evolve(new, requests_file=None)
    if old is not None and old.requests == new.requests:
        return new
    path = supervisor.write_requests(new.id, new.requests.encode())
    return attrs.evolve(new, requests_file=str(path))


def _remove(supervisor: Supervisor, entry: Entry, say: Say) -> None:
    if entry.kind == POINT_KIND:
        remove_charging_point(supervisor, entry.id, False, say)
    else:
        remove_driver(supervisor, entry.id)
    say(f"Removed {entry.id}")
