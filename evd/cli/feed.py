"""`evd feed` and `evd watch`: what changes, as it changes, for scripts and for people."""

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from evd.adapters.supervisor.protocol import Supervisor
from evd.cli.command_line import Parser, Verbs, add_verb
from evd.cli.errors import ToolFailed
from evd.cli.names import cp_ids_from

if TYPE_CHECKING:
    from evd.adapters.feed.client import FeedWay


def add_verbs(verbs: Verbs) -> None:
    """Add `watch` and `feed`."""
    text = "follow charging points, alerts and events live; keys sort and filter"
    _add_cps(add_verb(verbs, "watch", text, _watch))
    text = "print the status feed for a script, each message a line of JSON"
    feed = add_verb(verbs, "feed", text, _feed)
    _add_cps(feed)
    feed.add_argument("--once", action="store_true", help="the snapshot alone (else until Ctrl-C)")


def _add_cps(parser: Parser) -> None:
    parser.add_argument(
        "--cp",
        dest="cps",
        action="append",
        default=[],
        metavar="N|ID",
        help="only this charging point; may be repeated",
    )


def _ways(supervisor: Supervisor, cps: Sequence[str]) -> "list[FeedWay]":
    # Loaded late, as below: Trio and WebSocket stand behind it.
    from evd.cli.feed_way import feed_ways

    return feed_ways(supervisor, cp_ids_from(cps))


def _feed(supervisor: Supervisor, options: argparse.Namespace) -> int:
    ways = _ways(supervisor, options.cps)
    from evd.cli.feed_lines import print_feed

    return print_feed(ways, once=options.once)


def _watch(supervisor: Supervisor, options: argparse.Namespace) -> int:
    if not sys.stdout.isatty():
        raise ToolFailed("evd watch needs a terminal; a script asks evd feed or evd status.", 2)
    ways = _ways(supervisor, options.cps)
    from evd.cli.watch import watch

    return watch(supervisor, ways)
