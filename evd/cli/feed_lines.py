"""The messages of the status feed as lines of JSON on standard output."""

import sys
from collections.abc import Sequence
from functools import partial

from evd.adapters.feed.client import FeedAway, FeedRefused, FeedWay, follow, open_feed
from evd.cli.ending import end_with_the_first, run_until_ended
from evd.cli.errors import ToolFailed, say
from evd.cli.signals import INTERRUPTED, until_interrupted
from evd.cli.streams import Output


def print_feed(ways: Sequence[FeedWay], *, once: bool) -> int:
    """Print messages until the end that the operator wants; the exit code."""
    sys.stdout.flush()
    output = Output(sys.stdout.fileno())
    printing = partial(_print_one if once else _print_all, ways, output)
    return run_until_ended(
        partial(
            end_with_the_first,
            printing,
            partial(until_interrupted, INTERRUPTED),
            partial(output.until_unread, 1),
        )
    )


async def _print_one(ways: Sequence[FeedWay], output: Output) -> int:
    said: list[str] = []
    for way in ways:
        try:
            async with open_feed(way) as feed:
                message = await feed.message()
        except FeedAway as error:
            said.append(str(error))
        except FeedRefused as error:
            raise _failure(error) from None
        else:
            await output.write(_line(message))
            return 0
    raise _failure("; ".join(said))


async def _print_all(ways: Sequence[FeedWay], output: Output) -> int:
    told = ""

    async def take(message: str) -> None:
        nonlocal told
        told = ""
        await output.write(_line(message))

    def on_away(why: str) -> None:
        nonlocal told
        # Once for as long as the reason is the same.
        if why != told:
            told = why
            say(f"{_failure(why)} Trying again.")

    try:
        await follow(ways, take, on_away)
    except FeedRefused as error:
        raise _failure(error) from None


def _line(message: str) -> bytes:
    # JSON has no line's end but between its parts.
    return message.replace("\n", " ").encode() + b"\n"


def _failure(why: object) -> ToolFailed:
    text = str(why)
    return ToolFailed(f"{text[:1].upper()}{text[1:]}.")
