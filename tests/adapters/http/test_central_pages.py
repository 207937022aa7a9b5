"""Central's page and its documentation: true, complete, and safe to look at."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import pytest
from litestar.routes import HTTPRoute

from tests.adapters.http.fake_central import Client, FakeCentral, app_of

# Paths that answer in JSON.
JSON_PATHS = (
    *("/health", "/cp", "/cp/{cp_id}", "/requests/{request_id}", "/sessions", "/telemetry"),
    *("/faults", "/faults/statistics", "/health/history"),
)


@pytest.fixture
async def doc(client: Client) -> dict[str, Any]:
    """The OpenAPI document."""
    found: dict[str, Any] = (await client.get("/openapi.json")).json()
    return found


def operations(doc: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Every method of every path."""
    for path, item in doc["paths"].items():
        for method, operation in item.items():
            yield method.upper(), path, operation


def references(part: Any) -> Iterator[str]:
    """Every $ref in a document, at any depth."""
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]
        for each in part.values():
            yield from references(each)
    elif isinstance(part, list):
        for each in part:
            yield from references(each)


class Page(HTMLParser):
    """The elements of a page, and the text of each innermost one."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attributes)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data.strip())


async def test_every_route_is_documented(doc: dict[str, Any]) -> None:
    """Proves: /openapi.json is 3.1 and has each path and method that the app answers."""
    app = app_of(FakeCentral())
    answered = {
        (method, re.sub(r":str}", "}", route.path))
        for route in app.routes
        if isinstance(route, HTTPRoute)
        for method in route.methods
        if method != "OPTIONS"
    }
    assert doc["openapi"].startswith("3.1")
    documented = {(method, path) for method, path, _ in operations(doc)}
    assert documented == answered - {("GET", "/web/{file:path}")}
    assert ("POST", "/request/charge") in documented


async def test_every_reference_resolves(doc: dict[str, Any]) -> None:
    """Proves: a program that follows the document's references finds something at each."""
    found = set(references(doc))
    assert found
    for reference in found:
        target: Any = doc
        for step in reference.removeprefix("#/").split("/"):
            target = target[step]
        assert isinstance(target, dict)


async def test_operations_are_told_apart_and_described(doc: dict[str, Any]) -> None:
    """Proves: each operation has an id of its own, a summary, a description and its parameters."""
    ids = [operation["operationId"] for _, _, operation in operations(doc)]
    assert len(set(ids)) == len(ids)
    for method, path, operation in operations(doc):
        assert operation["summary"], (method, path)
        assert operation["description"], (method, path)
        in_path = {each["name"] for each in operation.get("parameters", ()) if each["in"] == "path"}
        assert in_path == set(re.findall(r"{(\w+)}", path))
        assert any(status.startswith("2") for status in operation["responses"])


async def test_a_charge_s_body_has_its_forms(doc: dict[str, Any], client: Client) -> None:
    """Proves: who reads the document alone knows what to post: it names the fields of a body, and
    refuses and takes the same identifiers as Central does."""
    operation = doc["paths"]["/request/charge"]["post"]
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    assert schema["required"] == ["driver_id"]
    assert set(schema["properties"]) == {"driver_id", "cp_id", "vehicle_id", "request_id"}
    for name in schema["properties"]:
        for value in ("a", "any", "a" * 32, "a" * 33, "a" * 64, "a" * 65, "", "-a", "a b", "ä"):
            body = {"driver_id": "d", name: value}
            status = (await client.post("/request/charge", json=body)).status_code
            fits = re.search(schema["properties"][name]["pattern"], value) is not None
            assert fits == (status == 202), (name, value)


async def test_every_error_has_the_one_shape(doc: dict[str, Any]) -> None:
    """Proves: each documented error is `error`, `field?` and `code?`; whatever can fail says so."""
    error = doc["components"]["schemas"]["ErrorBody"]
    assert error["required"] == ["error"]
    assert set(error["properties"]) == {"error", "field", "code"}
    for method, path, operation in operations(doc):
        for status, answer in operation["responses"].items():
            if status >= "400" and path != "/health":
                reference = answer["content"]["application/json"]["schema"]["$ref"]
                assert reference == "#/components/schemas/ErrorBody", (method, path, status)
        if method in ("POST", "DELETE"):
            assert {"400", "403", "415", "503"} <= set(operation["responses"]), (method, path)
        if operation.get("parameters"):
            assert "400" in operation["responses"], (method, path)


async def test_the_bounds_of_parameters_are_documented(doc: dict[str, Any]) -> None:
    """Proves: limit and days are documented as the numbers that they are."""
    paths = doc["paths"]
    (limit,) = [each for each in paths["/sessions"]["get"]["parameters"] if each["name"] == "limit"]
    shown = {name: limit["schema"][name] for name in ("type", "minimum", "maximum", "default")}
    assert shown == {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100}
    assert limit["required"] is False
    days = [each["schema"] for each in paths["/faults/statistics"]["get"]["parameters"]]
    assert 3650 in [schema.get("maximum") for schema in days]


def fits(value: Any, schema: dict[str, Any], doc: dict[str, Any]) -> bool:
    """Whether a value is what a schema says, as far as this document's schemas go."""
    if "$ref" in schema:
        return fits(value, doc["components"]["schemas"][schema["$ref"].rpartition("/")[2]], doc)
    if "oneOf" in schema:
        return any(fits(value, each, doc) for each in schema["oneOf"])
    if schema["type"] == "object":
        known = schema["properties"]
        return (
            isinstance(value, dict)
            and set(schema["required"]) <= set(value) <= set(known)
            and all(fits(each, known[name], doc) for name, each in value.items())
        )
    if schema["type"] == "array":
        return isinstance(value, list) and all(fits(each, schema["items"], doc) for each in value)
    if "enum" in schema:
        return value in schema["enum"]
    kinds: dict[str, tuple[type, ...]] = {
        "string": (str,),
        "boolean": (bool,),
        "integer": (int,),
        "number": (int, float),
        "null": (type(None),),
    }
    return type(value) in kinds[schema["type"]]


@pytest.mark.parametrize("path", JSON_PATHS)
async def test_answers_are_as_documented(doc: dict[str, Any], client: Client, path: str) -> None:
    """Proves: what a call answers is what its documentation says, no field more or less."""
    content = doc["paths"][path]["get"]["responses"]["200"]["content"]
    answer = (await client.get(path.format(cp_id="CP-001", request_id="req-1"))).json()
    assert fits(answer, content["application/json"]["schema"], doc)
    assert not fits({**answer, "more": 1}, content["application/json"]["schema"], doc)


async def test_the_documentation_page_has_every_call(doc: dict[str, Any], client: Client) -> None:
    """Proves: /docs shows each path, its parameters and its forms."""
    text = (await client.get("/docs")).text
    page = Page(text)
    for path in doc["paths"]:
        assert path in page.texts
    targets = {attributes.get("id") for _, attributes in page.elements}
    links = [href for _, attributes in page.elements if (href := attributes.get("href"))]
    assert all(link[1:] in targets for link in links if link.startswith("#"))


async def test_the_documentation_needs_nothing_from_elsewhere(client: Client) -> None:
    """Proves: the page runs no script, loads from this host alone, and its policy says so."""
    answer = await client.get("/docs")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "script-src" not in policy
    await check_own(client, Page(answer.text))
    assert not [tag for tag, _ in Page(answer.text).elements if tag == "script"]


async def check_own(client: Client, page: Page) -> None:
    """That a page has no inline script or style, and that all it loads is there."""
    for tag, attributes in page.elements:
        assert tag not in ("style", "iframe", "object", "base")
        assert not [name for name in attributes if name == "style" or name.startswith("on")]
        if tag == "script":
            assert attributes.get("src"), "a script stands in the page itself"
        for name in ("src", "href"):
            target = attributes.get(name)
            assert target is None or re.match(r"/(?!/)|#", target), target
            if tag in ("link", "script") and target is not None:
                assert (await client.get(target)).status_code == 200, target


async def test_the_dashboard_loads_from_this_server_alone(client: Client) -> None:
    """Proves: all that the page names is here; its policy lets it run files alone, and call this
    server and its feed alone."""
    answer = await client.get("/")
    policy = answer.headers["content-security-policy"].split("; ")
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "connect-src 'self' ws://central.example:8765" in policy
    assert "unsafe" not in answer.headers["content-security-policy"]
    page = Page(answer.text)
    await check_own(client, page)
    assert ("meta", {"name": "evd-feed-port", "content": "8765"}) in page.elements


@pytest.mark.parametrize(
    ("host", "source"),
    [
        ("10.0.0.5", "ws://10.0.0.5:8765"),
        ("central.local:8000", "ws://central.local:8765"),
        # A policy has no form for an IPv6 address.
        ("[::1]:8000", "ws: wss:"),
    ],
)
async def test_the_feed_is_where_the_page_is(client: Client, host: str, source: str) -> None:
    """Proves: the page may connect to the feed by the very name by which it was loaded."""
    answer = await client.get("/", headers={"Host": host})
    assert answer.headers["content-security-policy"].endswith(f"connect-src 'self' {source}")
