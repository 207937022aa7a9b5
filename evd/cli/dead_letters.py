"""`evd dead-letters`: the messages that were put aside, why, and the way back for them."""

import argparse
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from rich.text import Text

from evd.adapters.supervisor.protocol import Supervisor
from evd.cli.command_line import (
    Parser,
    Verbs,
    add_actions,
    add_json,
    add_verb,
    console,
    print_json,
    text_of,
    value_of,
)
from evd.cli.errors import ToolFailed
from evd.cli.listing import add_limit, local
from evd.cli.programs import settings_of_central
from evd.cli.table import NOTHING
from evd.core.wire.fields import format_time, printable
from evd.core.wire.messages import TOPICS
from evd.flags import BOOTSTRAP, Kind

if TYPE_CHECKING:
    from evd.adapters.kafka.letters import DeadLetters, Letter, Replay

_PLACE: Final = re.compile(r"(?P<partition>[0-9]{1,6}):(?P<offset>[0-9]{1,18})")


def add_verbs(verbs: Verbs) -> None:
    """Add `dead-letters` with its actions."""
    text = "list or show what was put aside, send it again"
    actions = add_actions(verbs, "dead-letters", text)
    text = "list what was put aside and why, the newest last; times are local"
    listed = add_verb(actions, "list", text, _list)
    _add_topic(listed, "only what came from this topic")
    add_limit(listed, "letters")
    text = "show one: its headers, and its bytes with control characters escaped"
    shown = add_verb(actions, "show", text, _show)
    shown.add_argument("letter", metavar="LETTER", type=_letter_name, help="as the list names it")
    shown.add_argument("--raw", action="store_true", help="its bytes alone, for a file")
    text = (
        "send letters again to the topic that they came from, once the cause is mended; one that"
        " was sent before is left, one that is still bad comes back as a new letter"
    )
    again = add_verb(actions, "replay", text, _replay)
    again.add_argument(
        "letters", metavar="LETTER", type=_letter_name, nargs="*", help="as the list names them"
    )
    _add_topic(again, "instead of letters: all that came from this topic")
    for parser in (listed, shown, again):
        parser.add_argument(
            "--kafka-bootstrap",
            type=text_of(BOOTSTRAP),
            metavar=BOOTSTRAP.metavar,
            help="the brokers (default: those of this network's Central)",
        )
        add_json(parser)


def _add_topic(parser: Parser, text: str) -> None:
    parser.add_argument("--topic", choices=TOPICS, metavar="TOPIC", help=text)


def _name_of_letter(text: str) -> str:
    if (place := _PLACE.fullmatch(text)) is None:
        raise ValueError("must be as the list names it, such as 0:17")
    return f"{int(place['partition'])}:{int(place['offset'])}"


_letter_name: Final = value_of(Kind(_name_of_letter, "LETTER"))


@contextmanager
def _dead_letters(supervisor: Supervisor, options: argparse.Namespace) -> "Iterator[DeadLetters]":
    """The dead letters of the network, or of the brokers that the operator names."""
    # Loaded late: Kafka's client stands behind it.
    from evd.adapters.kafka.letters import DeadLetters, LettersFailed

    bootstrap = options.kafka_bootstrap or settings_of_central(supervisor).kafka_bootstrap
    try:
        with DeadLetters(bootstrap) as letters:
            yield letters
    except LettersFailed as error:
        text = str(error)
        raise ToolFailed(f"{text[:1].upper()}{text[1:]}.") from None


def _list(supervisor: Supervisor, options: argparse.Namespace) -> int:
    with _dead_letters(supervisor, options) as letters:
        found = letters.newest(options.limit, options.topic)
    if options.json:
        print_json({"dead_letters": [_fields(letter) for letter in found]})
        return 0
    screen = console()
    for letter in found:
        screen.print(_line(letter), soft_wrap=True)
    if not found:
        print("There are no dead letters.")
    return 0


def _line(letter: "Letter") -> Text:
    topic, partition, offset = letter.origin or (NOTHING, NOTHING, NOTHING)
    notes = ["sent again"] if letter.is_replayed else []
    notes += [] if letter.message_id is None else [letter.message_id]
    return Text.assemble(
        f"{letter.name:<7} ",
        (local(letter.at), "dim"),
        f" {printable(topic)} {partition}/{offset}, {letter.size_bytes} B: ",
        (printable(letter.error) or NOTHING, "" if letter.is_replayed else "red"),
        (f" ({', '.join(notes)})" if notes else "", "dim"),
    )


def _fields(letter: "Letter") -> dict[str, Any]:
    """A letter for a script; its key and value as texts, with what is no UTF-8 escaped."""
    topic, partition, offset = letter.origin or (None, None, None)
    return {
        "letter": letter.name,
        "topic": topic,
        "partition": partition,
        "offset": offset,
        "error": letter.error,
        "ts": None if letter.at is None else format_time(letter.at),
        "bytes": letter.size_bytes,
        "message_id": letter.message_id,
        "key": None if letter.key is None else _text(letter.key),
        "replayed": letter.is_replayed,
    }


def _text(raw: bytes) -> str:
    return raw.decode(errors="backslashreplace")


def _show(supervisor: Supervisor, options: argparse.Namespace) -> int:
    if options.raw and sys.stdout.isatty():
        raise ToolFailed("--raw is for a file or a pipe: its bytes might steer your terminal.", 2)
    with _dead_letters(supervisor, options) as letters:
        partition, offset = map(int, options.letter.split(":"))
        letter = letters.one(partition, offset)
    if letter is None:
        raise ToolFailed(f"There is no dead letter {options.letter}: evd dead-letters list")
    if options.raw:
        sys.stdout.buffer.write(letter.value)
    elif options.json:
        print_json({**_fields(letter), "value": _text(letter.value)})
    else:
        for name, value in _fields(letter).items():
            shown = {None: NOTHING, True: "yes", False: "no"}.get(value, str(value))
            print(f"{name:<10} {printable(shown)}")
        print(f"\n{printable(_text(letter.value))}")
    return 0


def _replay(supervisor: Supervisor, options: argparse.Namespace) -> int:
    if bool(options.letters) == (options.topic is not None):
        raise ToolFailed("Name letters to send again, or say --topic TOPIC for all of it.", 2)
    missing = set(options.letters)
    topic: str | None = options.topic

    def is_wanted(letter: "Letter") -> bool:
        if topic is not None:
            return letter.origin is not None and letter.origin.topic == topic
        named = letter.name in missing
        missing.discard(letter.name)
        return named

    with _dead_letters(supervisor, options) as letters:
        replay = letters.replay(is_wanted)
    if options.json:
        print_json(
            {
                "sent": replay.sent,
                "sent_before": replay.sent_before,
                "unfit": replay.unfit,
                "unknown": sorted(missing),
            }
        )
    elif not missing or replay.sent:
        print("\n".join(_told(replay)))
    if missing:
        names = ", ".join(sorted(missing))
        raise ToolFailed(f"There is no dead letter {names}: evd dead-letters list")
    if replay.first_unfit is not None:
        name, why = replay.first_unfit
        raise ToolFailed(f"{replay.unfit} can't be sent again, the first of them {name}: {why}.")
    return 0


def _told(replay: "Replay") -> Iterator[str]:
    for topic, count in replay.sent.items():
        yield f"Sent {count} again to {topic}; what is still bad comes back as a new dead letter"
    if replay.sent_before:
        yield f"{replay.sent_before} had been sent again before: left"
    if not replay.sent and not replay.sent_before:
        yield "There was nothing to send again"
