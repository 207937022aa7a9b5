"""The pages on the protocol and on HTTP say what the code does, no more and no less."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import attrs
import orjson
import pytest

from evd.adapters.feed.outlet import PERIOD_S, RECEIVED_BYTES_MAX
from evd.adapters.feed.publisher import EVENTS_MAX
from evd.adapters.feed.server import FEED_BOUNDS, MESSAGE_BYTES_MAX
from evd.core.central import overview
from evd.core.central.alerts import ALERTS_MAX
from evd.core.central.views import CpView
from evd.core.wire import codec, control, framing, messages
from tests.adapters.http.fake_central import Client, FakeCentral

FEED_VALUES = (CpView, overview.FeedEvent, overview.Network, overview.DayTotals, overview.Alert)
DOCS = Path(__file__).parents[2] / "docs"
# The parts that all messages of a kind share; the page has them once, above the others.
SHARED = {messages.Message, messages.CpOrder, control.MonitorMessage}
# On the wire, and no fields of the class: they name it.
NAMING = {messages.Command: "cmd"} | dict.fromkeys(
    (
        *control.MONITOR_MESSAGES.values(),
        *control.CENTRAL_ANSWERS.values(),
        *control.HEALTH_MESSAGES.values(),
    ),
    "type",
)
DOCUMENTED: Mapping[str, type] = {
    **messages.TOPICS,
    "seen": messages.Seen,
    **messages.PAYLOADS,
    **control.MONITOR_MESSAGES,
    **control.CENTRAL_ANSWERS,
    **control.HEALTH_MESSAGES,
}


@attrs.frozen
class Section:
    """One message on the page: the fields that its table names, and its example."""

    fields: set[str]
    same_as: str | None
    example: str


def sections() -> dict[str, Section]:
    """The sections of docs/protocol.md that are about one message, by its name."""
    found = {}
    for part in re.split(r"^### ", (DOCS / "protocol.md").read_text(), flags=re.MULTILINE)[1:]:
        same_as = re.search(r"the fields of `(\w+)`", part)
        example = re.search(r"```json\n(.*?)```", part, re.DOTALL)
        found[part.partition("`")[2].partition("`")[0]] = Section(
            {name for row in re.findall(r"^\| (`.*?) \|", part, re.M) for name in named(row)},
            same_as[1] if same_as else None,
            example[1] if example else "",
        )
    return found


def named(text: str) -> list[str]:
    """The names in backticks."""
    return re.findall(r"`([\w.]+\??)`", text)


def wire_fields(cls: type) -> set[str]:
    """The fields that the page must name, `?` behind those that may be left out."""
    shared = attrs.fields_dict(messages.Message) if issubclass(cls, messages.Message) else {}
    own = {
        each.name + ("" if each.default is attrs.NOTHING else "?")
        for each in attrs.fields(cls)
        if each.name not in shared
    }
    return own | ({NAMING[cls]} if cls in NAMING else set())


def page_fields(name: str) -> set[str]:
    """The fields that the page names for a message, those of another one included."""
    section = sections()[name]
    others = page_fields(section.same_as) if section.same_as else set()
    return section.fields | others


def decoded(name: str, raw: bytes) -> Any:
    """The message that a reader makes of an example."""
    if name in messages.TOPICS:
        return codec.decode(name, raw)
    if name in messages.PAYLOADS:
        return cast(messages.Command, codec.decode(messages.COMMANDS, raw)).payload
    if name == "seen":
        return codec.structure(messages.Seen, codec.load_object(raw))
    if name in control.MONITOR_MESSAGES:
        return codec.structure_monitor(codec.load_object(raw))
    return (
        codec.decode_central(raw) if name in control.CENTRAL_ANSWERS else codec.decode_health(raw)
    )


def unknown(example: object, known: set[str]) -> Iterator[str]:
    """The fields of an example, at any depth, that no message has."""
    if isinstance(example, dict):
        yield from example.keys() - known
        for value in example.values():
            yield from unknown(value, known)


def classes(module: ModuleType) -> set[type]:
    """The message classes of a module."""
    return {
        each
        for each in vars(module).values()
        if isinstance(each, type) and attrs.has(each) and each.__module__ == module.__name__
    }


def test_every_message_is_on_the_page_and_nothing_else() -> None:
    """Proves: the author of another client finds each message that the programs send."""
    assert set(sections()) == set(DOCUMENTED)
    assert classes(messages) | classes(control) == set(DOCUMENTED.values()) | SHARED


@pytest.mark.parametrize("name", DOCUMENTED)
def test_a_message_has_its_fields_on_the_page(name: str) -> None:
    """Proves: no field is missing on the page, none is made up, and `?` stands behind those that
    may be left out."""
    assert page_fields(name) == wire_fields(DOCUMENTED[name])


@pytest.mark.parametrize("name", DOCUMENTED)
def test_an_example_is_a_message(name: str) -> None:
    """Proves: each example is one that a program takes, of the class that it stands for, and all
    of its fields are real."""
    raw = sections()[name].example.encode()
    assert type(decoded(name, raw)) is DOCUMENTED[name]
    known = {each.rstrip("?") for other in sections() for each in page_fields(other)}
    assert not set(unknown(orjson.loads(raw), known | {"ts", "message_id"}))


def test_the_frame_is_one() -> None:
    """Proves: the bytes on the page are the frame of the message beside them."""
    text = (DOCS / "protocol.md").read_text()
    found = re.search(r"^`([^\n]*)` is sent as\n\n```\n(.*?)```", text, re.MULTILINE | re.DOTALL)
    assert found is not None
    assert bytes.fromhex(found[2]) == framing.encode(found[1].encode())


def test_every_choice_is_on_the_page() -> None:
    """Proves: each value that a field may have (a status, a state, a code) is explained."""
    text = (DOCS / "protocol.md").read_text()
    kinds = (messages.Action, messages.RequestStatus, messages.CpState, messages.Outcome)
    more = (control.EngineStatus, control.KoCause, control.NackCode)
    values = {each.value for kind in (*kinds, *more) for each in kind} - {"PENDING"}
    assert values <= set(named(text))


async def document() -> dict[str, Any]:
    """The OpenAPI document of Central's HTTP."""
    async with Client(FakeCentral()) as client:
        found: dict[str, Any] = (await client.get("/openapi.json")).json()
        return found


async def test_the_api_page_names_each_call_and_nothing_else() -> None:
    """Proves: the page and the programs agree on every path and method."""
    calls = set(re.findall(r"^### `([A-Z]+ \S+)`", (DOCS / "api.md").read_text(), re.MULTILINE))
    paths = (await document())["paths"]
    assert calls == {f"{method.upper()} {path}" for path in paths for method in paths[path]}


async def test_the_api_page_explains_each_field_and_parameter() -> None:
    """Proves: each field of an answer or a body, and each parameter, is on the page."""
    found = await document()
    forms = found["components"]["schemas"].values()
    fields = {name for form in forms for name in form.get("properties", {})}
    operations = [each for item in found["paths"].values() for each in item.values()]
    fields |= {each["name"] for one in operations for each in one.get("parameters", ())}
    assert fields <= set(named((DOCS / "api.md").read_text()))


def test_the_feed_page_explains_each_field_and_kind() -> None:
    """Proves: whoever reads the feed finds each field, each kind of event and each alert on its
    page, or, of a charging point, on that of `GET /cp`."""
    pages = [(DOCS / name).read_text() for name in ("feed.md", "api.md")]
    fields = {each.name for kind in FEED_VALUES for each in attrs.fields(kind)}
    assert fields <= set(named("".join(pages)))
    kinds = {each.value for kind in (overview.EventKind, overview.AlertKind) for each in kind}
    assert kinds <= set(named(pages[0]))


def test_the_feed_page_names_its_bounds() -> None:
    """Proves: the numbers on the page are those of the code."""
    page = (DOCS / "feed.md").read_text()
    places = f"{FEED_BOUNDS.connections_max} in all, {FEED_BOUNDS.of_address_max} of\none address"
    assert places in page
    assert f"at most {EVENTS_MAX}, oldest first" in page
    assert f"then the oldest; at most {ALERTS_MAX}" in page
    assert f"{RECEIVED_BYTES_MAX // 1024} KiB in {PERIOD_S:g} s" in page
    assert f"more than {MESSAGE_BYTES_MAX // 1024} KiB" in page
