"""A plugin of supervisord that lets its groups grow: loaded from `[rpcinterface:evd]`.

supervisord knows a group only whole: to add a process to one it would have to be stopped.  Here
each program stands in a file of its own, as `[program:evd-engine-CP-007]` with
`process_name = CP-007`, and joins the group `evd-engine` as `evd-engine:CP-007`, at the start as
well as later.  `evd.sync` takes up what was added to the include folders, and what was removed
from them; no other process notices.

It also bounds what a crash loop waits: supervisord adds a second with each failed start, for ever.
"""

import time
from collections import deque
from collections.abc import Iterable
from typing import Any

import attrs
from supervisor import events  # type: ignore[import-untyped]
from supervisor.options import (  # type: ignore[import-untyped]
    ProcessGroupConfig,
    make_namespec,
)
from supervisor.states import STOPPED_STATES  # type: ignore[import-untyped]
from supervisor.xmlrpc import Faults, RPCError  # type: ignore[import-untyped]

# A part whose fault is repaired is back within this, however long the fault lasted.
BACKOFF_S_MAX = 5.0
STARTS_KEPT = 100


class GrowingGroup(ProcessGroupConfig):  # type: ignore[misc]
    """A group that equals itself with other members: so `supervisorctl update` leaves it alone."""

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, GrowingGroup) and other.name == self.name

    def __ne__(self, other: object) -> bool:
        return not self == other


def fold(configs: Iterable[Any], names: tuple[str, ...], options: Any) -> list[Any]:
    """supervisord's group configurations, each program `<name>-<process>` joined in group `name`.

    A program with no process at all (`numprocs = 0` in a later file) is left out.
    """
    folded: list[Any] = []
    growing: dict[str, Any] = {}
    for config in configs:
        name = _group_of(config, names)
        if name is None:
            folded.append(config)
        elif name in growing:
            growing[name].process_configs.extend(config.process_configs)
        else:
            growing[name] = GrowingGroup(
                options, name, config.priority, list(config.process_configs)
            )
            folded.append(growing[name])
    return [config for config in folded if config.process_configs]


def _group_of(config: Any, names: tuple[str, ...]) -> str | None:
    if len(config.process_configs) != 1:
        return None
    process = config.process_configs[0].name
    return next((name for name in names if config.name == f"{name}-{process}"), None)


@attrs.frozen
class Difference:
    """The processes that are defined against those that supervisord has, as (group, name)."""

    # A process is added with the group's configuration and its own.
    added: list[tuple[Any, Any]] = attrs.field(factory=list)
    removed: list[tuple[str, str]] = attrs.field(factory=list)
    changed: list[tuple[str, str]] = attrs.field(factory=list)
    orphaned: list[tuple[str, str]] = attrs.field(factory=list)

    def names(self) -> dict[str, list[str]]:
        """The same as full names in their order, for the wire."""
        added = [(group.name, each.name) for group, each in self.added]
        pairs = {
            "added": added,
            "removed": self.removed,
            "changed": self.changed,
            "orphaned": self.orphaned,
        }
        return {what: sorted(make_namespec(*pair) for pair in pairs[what]) for what in pairs}


class GroupsInterface:
    """The methods of `evd.…` that supervisord answers to."""

    def __init__(self, supervisord: Any, names: tuple[str, ...]) -> None:
        self._supervisord = supervisord
        self._names = names
        self._starts: dict[str, deque[float]] = {}
        self._join_present()
        events.subscribe(events.ProcessStateBackoffEvent, self._bound_backoff)
        events.subscribe(events.ProcessStateStartingEvent, self._note_start)

    def compare(self) -> dict[str, list[str]]:
        """Read the configuration again, and say what `sync` would do.

        @return struct result  `added` and `removed` processes; `changed` ones, whose section is
        new, run on as they are until they are removed and added again; `orphaned` ones have no
        section any more, and have to be stopped before they can be removed
        """
        return self._difference().names()

    def sync(self) -> dict[str, list[str]]:
        """Read the configuration again, and make the set of processes what it says.

        @return struct result  as for compare
        """
        difference = self._difference()
        groups = self._supervisord.process_groups
        for config, each in difference.added:
            if config.name not in groups:
                empty = GrowingGroup(config.options, config.name, config.priority, [])
                self._supervisord.add_process_group(empty)
            group = groups[config.name]
            each.create_autochildlogs()
            group.config.process_configs.append(each)
            group.processes[each.name] = each.make_process(group)
        for group_name, name in difference.removed:
            group = groups[group_name]
            del group.processes[name]
            kept = [each for each in group.config.process_configs if each.name != name]
            group.config.process_configs[:] = kept
            self._starts.pop(make_namespec(group_name, name), None)
            if not group.processes:
                self._supervisord.remove_process_group(group_name)
        return difference.names()

    def starts(self, seconds: int) -> dict[str, int]:
        """Count the starts of each process in the last `seconds`.

        @param int seconds     the time to look back
        @return struct result  the number of starts by process
        """
        since = time.monotonic() - seconds
        return {name: sum(at >= since for at in kept) for name, kept in self._starts.items()}

    def _join_present(self) -> None:
        supervisord = self._supervisord
        options = supervisord.options
        parse = options.process_groups_from_parser

        def parse_and_join(parser: Any) -> list[Any]:
            return fold(parse(parser), self._names, options)

        # Every later reading of the configuration gives the joined groups.
        options.process_groups_from_parser = parse_and_join
        options.process_group_configs = fold(options.process_group_configs, self._names, options)
        # Nothing has been started yet: supervisord makes its interfaces first.
        supervisord.process_groups.clear()
        for config in options.process_group_configs:
            supervisord.add_process_group(config)

    def _difference(self) -> Difference:
        if self._supervisord.stopping:
            raise RPCError(Faults.SHUTDOWN_STATE)
        options = self._supervisord.options
        try:
            options.process_config(do_usage=False)
        except ValueError as error:
            raise RPCError(Faults.CANT_REREAD, str(error)) from None
        difference = Difference()
        groups = self._supervisord.process_groups
        wanted = {config.name: config for config in options.process_group_configs}
        for name, config in wanted.items():
            group = groups.get(name)
            present = {each.name: each for each in group.config.process_configs} if group else {}
            for each in config.process_configs:
                if each.name not in present:
                    difference.added.append((config, each))
                elif each != present[each.name]:
                    difference.changed.append((name, each.name))
        for name, group in groups.items():
            kept = {each.name for each in wanted[name].process_configs} if name in wanted else ()
            for process_name, process in group.processes.items():
                if process_name not in kept:
                    stopped = process.get_state() in STOPPED_STATES
                    pairs = difference.removed if stopped else difference.orphaned
                    pairs.append((name, process_name))
        return difference

    def _bound_backoff(self, event: Any) -> None:
        process = event.process
        process.delay = min(process.delay, time.time() + BACKOFF_S_MAX)

    def _note_start(self, event: Any) -> None:
        process = event.process
        name = make_namespec(process.group.config.name, process.config.name)
        self._starts.setdefault(name, deque(maxlen=STARTS_KEPT)).append(time.monotonic())


def make_interface(supervisord: Any, groups: str = "") -> GroupsInterface:
    """The factory that `[rpcinterface:evd]` names; `groups` lists the groups that can grow."""
    return GroupsInterface(supervisord, tuple(groups.split()))
