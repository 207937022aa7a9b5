"""`evd access`: who would be refused, and a copy of all access that outlives Central's disk."""

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import orjson

from evd.adapters.files.regular_file import open_regular
from evd.adapters.files.state_dir import write_secret
from evd.adapters.supervisor.protocol import Supervisor
from evd.cli.command_line import Verbs, add_actions, add_json, add_verb, answer, print_json
from evd.cli.errors import ToolFailed
from evd.cli.finding import Finding
from evd.cli.listing import clock
from evd.cli.programs import access_of
from evd.core.wire.fields import printable

# Some hundred thousand tokens.
COPY_BYTES_MAX: Final = 64 * 1024 * 1024
NAMED_MAX: Final = 20

# Each with its remedy.
_KINDS: Final = {
    "point": ("The charging point", "Give it a token: evd cp token {}; where it runs: evd reload"),
    "driver": ("The driver", "Give it a token: evd driver token {}; where it runs: evd reload"),
    "caller": ("A caller", "Give it a token: evd token new, or a login: evd user add"),
}
_READY: Final = "Nobody would be refused: --auth required is safe."
_OFF: Final = "Central runs with --auth off, and so notes nobody: --auth warn comes first."


def add_verbs(verbs: Verbs) -> None:
    """Add `access` with its actions."""
    text = "who would be refused; a copy of all users and tokens, and the way back from one"
    actions = add_actions(verbs, "access", text)
    text = "name all that --auth required would refuse; 1 if there is one"
    add_json(add_verb(actions, "ready", text, _ready))
    text = "write users and tokens, as hashes, to a file that only you may read"
    out = add_verb(actions, "export", text, _export)
    text = "take up such a file; what was revoked here stays revoked"
    back = add_verb(actions, "import", text, _import)
    for parser in (out, back):
        parser.add_argument("file", metavar="FILE", type=Path)
        add_json(parser)
    add_yes(back)


def add_yes(parser: argparse.ArgumentParser) -> None:
    """Let the operator agree to what becomes valid."""
    parser.add_argument("--yes", action="store_true", help="let what is named become valid")


def _ready(supervisor: Supervisor, options: argparse.Namespace) -> int:
    found = access_of(supervisor).ready()
    is_ready = found.get("auth") != "off" and not found.get("refused")
    if options.json:
        print_json(found)
    else:
        print(
            "\n".join(each.what for each in unready(found))
            or "Nobody would be refused: --auth required is safe."
        )
    return 0 if is_ready else 1


def unready(found: Mapping[str, Any]) -> Iterator[Finding]:
    """A finding for each that `required` refuses, as Central's answer has them."""
    if found.get("auth") == "off":
        yield Finding(_OFF, "Set it in Central's settings, then: evd reload")
    would = "is" if found.get("auth") == "required" else "would be"
    for each in found.get("refused") or ():
        kind, remedy = _KINDS.get(str(each.get("kind")), _KINDS["caller"])
        name = f" {each['name']}" if each.get("name") else ""
        place = f" at {each['address']}" if each.get("address") else ""
        count = "once" if each.get("count") == 1 else f"{each.get('count')} times"
        seen = f" ({count}, last {clock(each, 'last_at')})"
        what = f"{kind}{name}{place} {would} refused: {each.get('why')}{seen}."
        yield Finding(printable(what), printable(remedy.format(each.get("name") or "NAME")))


def _export(supervisor: Supervisor, options: argparse.Namespace) -> int:
    users, tokens = export_access(supervisor, options.file)
    told = f"Wrote {users} users and {tokens} tokens to {options.file}, as hashes"
    answer(options, {"file": str(options.file), "users": users, "tokens": tokens}, told)
    return 0


def export_access(supervisor: Supervisor, path: Path) -> tuple[int, int]:
    """Write all access to a file of the mode 0600; the number of users and tokens in it."""
    copy = access_of(supervisor).export_access()
    write_secret(path.absolute(), orjson.dumps(copy, option=orjson.OPT_INDENT_2) + b"\n")
    return len(copy.get("users", ())), len(copy.get("tokens", ()))


def _import(supervisor: Supervisor, options: argparse.Namespace) -> int:
    copy = read_copy(options.file)
    outcome = import_access(supervisor, copy, yes=options.yes)
    lines = [*named(outcome), "Done"]
    answer(options, outcome, *lines)
    return 0


def read_copy(path: Path) -> dict[str, Any]:
    """The copy in a file; ToolFailed, which shows nothing of it, where it holds none."""
    with open(open_regular(path), "rb") as file:
        content = file.read(COPY_BYTES_MAX + 1)
    if len(content) > COPY_BYTES_MAX:
        raise ToolFailed(f"{path} has more than {COPY_BYTES_MAX} bytes.", 2)
    try:
        copy = orjson.loads(content)
    except orjson.JSONDecodeError:
        copy = None
    if not isinstance(copy, dict):
        raise ToolFailed(f"{path} is no copy made by evd access export.", 2)
    return copy


def import_access(supervisor: Supervisor, copy: dict[str, Any], *, yes: bool) -> dict[str, Any]:
    """Take up a copy; ToolFailed, naming what would become valid by it, without `yes`."""
    access = access_of(supervisor)
    if not yes:
        outcome = access.import_access(copy, apply=False)
        refuse_unasked(outcome)
    return access.import_access(copy, apply=True)


def refuse_unasked(valid: Mapping[str, Any]) -> None:
    """ToolFailed, naming users and tokens, where some would become valid."""
    if valid.get("users") or valid.get("tokens"):
        told = " ".join(f"{line}." for line in made_valid(valid))
        raise ToolFailed(f"{told} Nothing was changed: say --yes if that is right.", 2)


def named(outcome: Mapping[str, Any]) -> Iterator[str]:
    """A line for each kind of what an import makes valid, or leaves as it is."""
    yield from made_valid(outcome)
    yield f"The same: {outcome.get('same', 0)}"


def made_valid(outcome: Mapping[str, Any]) -> Iterator[str]:
    """The lines about what becomes valid, and what does not for it was revoked."""
    for key, text in (
        ("users", "These users can log in by it"),
        ("tokens", "These tokens become valid"),
        ("revoked", "Stay revoked or removed"),
    ):
        names = [printable(str(each)) for each in outcome.get(key) or ()]
        if names:
            more = len(names) - NAMED_MAX
            shown = ", ".join(names[:NAMED_MAX]) + (f" and {more} more" if more > 0 else "")
            yield f"{text}: {shown}"
