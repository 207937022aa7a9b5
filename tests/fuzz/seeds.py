"""Good inputs that a fuzzer begins from, and the words that belong in an input, of each target."""

import re
from collections.abc import Iterable
from typing import Final

import orjson

from evd.cli import make_parser
from evd.core.wire import control
from evd.core.wire.framing import encode
from evd.core.wire.messages import COMMANDS, PAYLOADS, TOPICS
from evd.flags import flags_of
from tests.fuzz.http_target import HOST
from tests.fuzz.targets import ARGUMENT_END, FROM_CENTRAL, FROM_MONITOR, HEALTH, PROGRAMS
from tests.unit.test_docs import sections

_TABLES: Final = tuple(table for _, table in PROGRAMS)
_LINES: Final = ("status", "cp stop CP-001", "session list --limit 3", "faults --cp CP-001 --json")
_CHARGE: Final = b'{"driver_id":"driver-alice","cp_id":"CP-001"}'
_PATHS: Final = (
    *("/", "/health", "/cp", "/cp/CP-001", "/sessions?limit=2", "/sessions?format=csv", "/faults"),
    *("/reports?by=cp", "/requests/req-1", "/timeline", "/openapi.json", "/metrics", "/telemetry"),
)


def seeds(target: str) -> list[bytes]:
    """Inputs that are as they should be."""
    match target:
        case "arguments":
            lines = [line.encode().replace(b" ", ARGUMENT_END) for line in _LINES]
            flags = [_flag_lines(number) for number in range(len(_TABLES))]
            return [*(b"\x01" + line for line in lines), *flags]
        case "codec":
            return [kind.encode() + b"\n" + raw for kind, raw in _messages()]
        case "deframer":
            frames = [encode(raw) for _, raw in _messages()]
            return [*frames, b"".join(frames), frames[0][:-1] + frames[1]]
        case "http":
            return [*_requests()]
        case "requests_file":
            return [b"CP-001\nany\n\n# a comment\nCP-002 # another\n", "\ufeffCP-001\r\n".encode()]
        case _:
            raise ValueError(f"there is no target {target}")


def words(target: str) -> list[str]:
    """The words that a fuzzer may put into an input."""
    match target:
        case "arguments":
            verbs = re.findall(r"[a-z-]{2,}", make_parser().format_help())
            flags = {flag.name for table in _TABLES for flag in flags_of(table)}
            return sorted({*verbs, *flags, *_LISTS})
        case "codec" | "deframer":
            examples = b"".join(raw for _, raw in _messages()).decode()
            return sorted({*re.findall(r'"\w+"', examples)})
        case "http":
            return [*_PATHS, "HTTP/1.1", "Host", "Content-Length", "Transfer-Encoding", "chunked"]
        case _:
            return ["any", "CP-001", "#"]


def _messages() -> Iterable[tuple[str, bytes]]:
    """The examples of docs/protocol.md, each with the way by which it comes."""
    ways = {
        **dict.fromkeys(control.MONITOR_MESSAGES, FROM_MONITOR),
        **dict.fromkeys(control.CENTRAL_ANSWERS, FROM_CENTRAL),
        **dict.fromkeys(control.HEALTH_MESSAGES, HEALTH),
        **dict.fromkeys(PAYLOADS, COMMANDS),
        **{topic: topic for topic in TOPICS},
    }
    for name, section in sections().items():
        if name in ways and section.example:
            yield ways[name], orjson.dumps(orjson.loads(section.example))


# Several addresses in one value.
_LISTS: Final = ("a,b:9998", "[::1]:9,a", "http://a,https://[::1]:1", ",", ":1")


def _flag_lines(number: int) -> bytes:
    """All flags of a program, with the values that they have by default."""
    arguments = []
    for flag in flags_of(_TABLES[number]):
        arguments += [flag.name, str(flag.default)]
    return bytes([2 * number]) + ARGUMENT_END.join(each.encode() for each in arguments)


def _requests() -> Iterable[bytes]:
    host = f"Host: {HOST}\r\n".encode()
    for path in _PATHS:
        yield b"GET %b HTTP/1.1\r\n%b\r\n" % (path.encode(), host)
    head = b"POST /request/charge HTTP/1.1\r\n%bContent-Type: application/json\r\n" % host
    size = len(_CHARGE)
    yield head + b"Content-Length: %d\r\n\r\n%b" % (size, _CHARGE)
    yield head + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (size, _CHARGE)
    yield b"DELETE /cp/CP-001 HTTP/1.1\r\n%b\r\nGET /cp HTTP/1.1\r\n%b\r\n" % (host, host)
