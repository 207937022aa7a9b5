"""A plugin of supervisord that lets its groups grow: loaded from `[rpcinterface:evd]`.

supervisord knows a group only whole: to add a process to one it would have to be stopped.  Here
each program stands in a file of its own, as `[program:evd-engine-CP-007]` with
`process_name = CP-007`, and joins the group `evd-engine` as `evd-engine:CP-007`, at the start as
well as later.  `evd.sync` takes up what was added to the include folders, what was removed from
them, and what is new about a stopped program; it opens anew the logs that somebody removed.  No
other process notices.

It also bounds what a crash loop waits: supervisord adds a second with each failed start, for ever.
"""

import copy
import os
import time
from collections import deque
from collections.abc import Iterable, Iterator
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

# The variables of the network's file that only one group reads; all other variables are for all.
VARIABLES = {
    "evd-broker": "EVD_BROKER_",
    "evd-kafka": "EVD_KAFKA_",
    "evd-central": "CENTRAL_",
    "evd-engine": "CP_ENGINE_",
    "evd-monitor": "CP_MONITOR_",
    "evd-driver": "DRIVER_",
}


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


# A process's full name, with the thing that is to be done to it.
_Named = list[tuple[str, Any]]


@attrs.frozen
class Difference:
    """The processes that are defined against those that supervisord has."""

    # Each with its group's configuration and its own.
    added: _Named = attrs.field(factory=list)
    changed: _Named = attrs.field(factory=list)
    # Each with its group.
    removed: _Named = attrs.field(factory=list)
    orphaned: _Named = attrs.field(factory=list)
    # Each with the handler of a log whose file is gone; `supervisord` is one too.
    logless: _Named = attrs.field(factory=list)

    def names(self) -> dict[str, list[str]]:
        """The full names in their order, for the wire."""
        found = attrs.asdict(self, recurse=False)
        return {what: sorted({name for name, _ in found[what]}) for what in found}

    def only(self, names: Iterable[str]) -> "Difference":
        """The part of it that is about these processes."""
        found = attrs.asdict(self, recurse=False)
        return Difference(
            **{what: [each for each in found[what] if each[0] in names] for what in found}
        )


def _is_changed(group: str, present: Any, wanted: Any) -> bool:
    """Whether a process of `group` would run otherwise; another group's variables are no change."""
    if group not in VARIABLES:
        return bool(present != wanted)
    foreign = tuple(prefix for name, prefix in VARIABLES.items() if name != group)

    def own(config: Any) -> Any:
        variables = config.environment or {}
        kept = {name: value for name, value in variables.items() if not name.startswith(foreign)}
        copied = copy.copy(config)
        copied.environment = kept
        # A file of the other folder names the same places by another way.
        for name in ("directory", "stdout_logfile", "stderr_logfile"):
            path = getattr(copied, name)
            if isinstance(path, str):
                setattr(copied, name, os.path.normpath(path))
        return copied

    return bool(own(present) != own(wanted))


def _lost_logs(logger: Any) -> Iterator[Any]:
    """The handlers of a logger whose file was removed, or replaced by another."""
    for handler in getattr(logger, "handlers", ()):
        path = getattr(handler, "baseFilename", None)
        if path is None:
            continue
        try:
            is_there = os.path.samestat(os.stat(path), os.fstat(handler.stream.fileno()))
        except (OSError, ValueError):
            is_there = False
        if not is_there:
            yield handler


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
        new, run on as they are until they are stopped; `orphaned` ones have no section any more,
        and have to be stopped before they can be removed; what `logless` ones write is lost
        """
        return self._difference().names()

    def sync(self, names: list[str] | None = None) -> dict[str, list[str]]:
        """Read the configuration again, and make the set of processes what it says.

        @param array names     the processes to do it for, all of them if there are none
        @return struct result  as for compare
        """
        difference = self._difference()
        if names is not None:
            difference = difference.only(names)
        groups = self._supervisord.process_groups
        for _, (config, each) in difference.added:
            if config.name not in groups:
                empty = GrowingGroup(config.options, config.name, config.priority, [])
                self._supervisord.add_process_group(empty)
            group = groups[config.name]
            each.create_autochildlogs()
            group.config.process_configs.append(each)
            group.processes[each.name] = each.make_process(group)
        for _, (config, each) in difference.changed:
            group = groups[config.name]
            process = group.processes[each.name]
            if process.get_state() in STOPPED_STATES:
                present = group.config.process_configs
                present[present.index(process.config)] = process.config = each
        for name, group in difference.removed:
            process_name = name.rpartition(":")[2]
            del group.processes[process_name]
            kept = [each for each in group.config.process_configs if each.name != process_name]
            group.config.process_configs[:] = kept
            self._starts.pop(name, None)
            if not group.processes:
                self._supervisord.remove_process_group(group.config.name)
        for name, log in difference.logless:
            try:
                log.reopen()
            except OSError as error:
                raise RPCError(Faults.FAILED, f"{name}: {error}") from None
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
        for config in wanted.values():
            group = groups.get(config.name)
            present = {each.name: each for each in group.config.process_configs} if group else {}
            for each in config.process_configs:
                name = make_namespec(config.name, each.name)
                if each.name not in present:
                    difference.added.append((name, (config, each)))
                elif _is_changed(config.name, present[each.name], each):
                    difference.changed.append((name, (config, each)))
        for group_name, group in groups.items():
            config = wanted.get(group_name)
            kept = {each.name for each in config.process_configs} if config else ()
            for process_name, process in group.processes.items():
                name = make_namespec(group_name, process_name)
                if process_name not in kept:
                    stopped = process.get_state() in STOPPED_STATES
                    (difference.removed if stopped else difference.orphaned).append((name, group))
                for each in process.dispatchers.values():
                    lost = _lost_logs(getattr(each, "normallog", None))
                    difference.logless.extend((name, log) for log in lost)
        difference.logless.extend(("supervisord", log) for log in _lost_logs(options.logger))
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
