"""The ways into evd for bytes from outside; each raises where a promise breaks."""

import contextlib
import io
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from evd.cli import parse
from evd.cli.command_line import CommandLineWrong
from evd.cli.errors import ToolFailed
from evd.config import (
    BrokerConfig,
    CentralConfig,
    DriverConfig,
    EngineConfig,
    MonitorConfig,
    broker_config,
    central_config,
    driver_config,
    engine_config,
    monitor_config,
)
from evd.core.driver.requests_file import RequestsFileError, parse_requests
from evd.core.wire import codec
from evd.core.wire.fields import printable
from evd.core.wire.framing import FRAME_BYTES_MAX, BadFrame, Deframer, encode
from evd.core.wire.messages import TOPICS
from evd.flags import ConfigError
from tests.fuzz.http_target import feed_http
from tests.fuzz.promises import Broken, check_sentence

Target = Callable[[bytes], None]

ARGUMENT_END: Final = b"\n"
_NOON: Final = datetime(2026, 1, 31, 12, tzinfo=UTC)
# How each daemon reads its command line, and its flags.
PROGRAMS: Final = (
    (broker_config, BrokerConfig),
    (central_config, CentralConfig),
    (driver_config, DriverConfig),
    (engine_config, EngineConfig),
    (monitor_config, MonitorConfig),
)
# The name of a topic in a first line, or one of these, says how the rest is read.
FROM_MONITOR: Final = "monitor"
FROM_CENTRAL: Final = "central"
HEALTH: Final = "health"


def feed_deframer(data: bytes) -> None:
    """Frames are found however the bytes are cut, and after any bytes the second good one is."""
    found = Deframer().feed(data)
    size = 1 + sum(data) % 97
    in_parts, parts = Deframer(), list[bytes | BadFrame]()
    for start in range(0, len(data), size):
        parts += in_parts.feed(data[start : start + size])
        if in_parts.held_bytes > FRAME_BYTES_MAX:
            raise Broken(f"{in_parts.held_bytes} bytes are held")
    if parts != found:
        raise Broken(f"whole: {found!r}, in parts: {parts!r}")
    for frame in found:
        if isinstance(frame, bytes) and Deframer().feed(encode(frame)) != [frame]:
            raise Broken(f"{frame!r} does not come back")
    if in_parts.feed(2 * encode(b"{}"))[-1:] != [b"{}"]:
        raise Broken("the second good frame is not found")


def feed_codec(data: bytes) -> None:
    """Any bytes are a message or one error, and a message says the same once it is written anew."""
    kind, _, raw = data.partition(b"\n")
    try:
        _decode(kind.decode("latin-1"), raw)
    except codec.BadMessage as error:
        check_sentence(str(error))


def _decode(kind: str, raw: bytes) -> None:
    readers: Mapping[str, Callable[[bytes], Any]] = {
        FROM_MONITOR: lambda raw: codec.structure_monitor(codec.load_object(raw)),
        FROM_CENTRAL: codec.decode_central,
        HEALTH: codec.decode_health,
    }
    if kind in readers:
        message = readers[kind](raw)
        again = readers[kind](codec.encode_control(message))
        is_same = again == message
    elif kind in TOPICS:
        message = codec.decode(kind, codec.encode(codec.decode(kind, raw), _NOON, "m-1"))
        is_same = codec.decode(kind, codec.encode(message, _NOON, "m-1")) == message
    else:
        return
    if not is_same:
        raise Broken(f"{raw!r} of {kind} does not come back")


def feed_requests_file(data: bytes) -> None:
    """A requests file is its lines, or one error that names the line."""
    try:
        parse_requests(data)
    except RequestsFileError as error:
        check_sentence(error.why)
        if not 1 <= error.line_number <= data.count(b"\n") + 1:
            raise Broken(f"there is no line {error.line_number}") from error


def feed_arguments(data: bytes) -> None:
    """A command line is understood, or one sentence says why not.

    The first byte names the program.
    """
    number, words = sum(data[:1]), data[1:].split(ARGUMENT_END)
    arguments = [word.decode("utf-8", "surrogateescape") for word in words]
    # The kernel hands over none that has a zero in it.
    if b"\0" in data[1:]:
        return
    with contextlib.redirect_stdout(io.StringIO()):
        try:
            if number % 2:
                parse(arguments)
            else:
                read, _ = PROGRAMS[number // 2 % len(PROGRAMS)]
                read(arguments, {})
        except (CommandLineWrong, ConfigError, ToolFailed) as error:
            # The programs print it so.
            check_sentence(printable(str(error)))
        except SystemExit as asked_for:
            # The help or the release.
            if asked_for.code:
                raise Broken(f"exit code {asked_for.code}") from asked_for


TARGETS: Final[Mapping[str, Target]] = {
    "arguments": feed_arguments,
    "codec": feed_codec,
    "deframer": feed_deframer,
    "http": feed_http,
    "requests_file": feed_requests_file,
}
