"""The page of an API's documentation, made of its OpenAPI document; it needs no script."""

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from evd.adapters.http.pages import whole_page

Document = Mapping[str, Any]


def docs_page(document: Document) -> str:
    """The whole document as one page."""
    info = document["info"]
    operations = "\n".join(_operations(document))
    schemas = document.get("components", {}).get("schemas", {})
    forms = "\n".join(_schema(name, schema) for name, schema in sorted(schemas.items()))
    body = f"""<header>
<h1>{escape(info["title"])}</h1>
<p>{escape(info.get("description") or "")}</p>
<nav>
<a href="/openapi.json">OpenAPI {escape(document["openapi"])}</a>
<a href="#forms">Forms</a>
</nav>
</header>
<main>
<h2>Calls</h2>
{operations}
<h2 id="forms">Forms</h2>
{forms}
</main>"""
    return whole_page(info["title"], body)


def _operations(document: Document) -> Iterator[str]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield _operation(path, method, operation)


def _operation(path: str, method: str, operation: Document) -> str:
    parts = [
        f'<h3><span class="method">{escape(method.upper())}</span><code>{escape(path)}</code></h3>',
        f"<p><strong>{escape(operation.get('summary') or '')}</strong></p>",
        f"<p>{escape(operation.get('description') or '')}</p>",
    ]
    parameters = [
        (
            each["name"],
            f"{each['in']}{', required' if each.get('required') else ''}",
            _form(each.get("schema", {})),
            escape(each.get("description") or ""),
        )
        for each in operation.get("parameters", ())
    ]
    if parameters:
        parts.append(_table(("Parameter", "Where", "Form", "Meaning"), parameters))
    if body := operation.get("requestBody"):
        parts.append(f"<p>Body: {escape(body.get('description') or '')}</p>")
        parts += [_fields(content["schema"]) for content in body["content"].values()]
    answers = [
        (status, _content(answer), escape(answer.get("description") or ""))
        for status, answer in sorted(operation.get("responses", {}).items())
    ]
    parts.append(_table(("Answer", "Body", "Meaning"), answers))
    return f"<article>{''.join(parts)}</article>"


def _content(answer: Document) -> str:
    contents = answer.get("content") or {}
    return "; ".join(
        f"{escape(kind)}: {_form(content.get('schema', {}))}" for kind, content in contents.items()
    )


def _schema(name: str, schema: Document) -> str:
    description = escape(schema.get("description") or "")
    return (
        f'<article id="form-{escape(name)}"><h3><code>{escape(name)}</code></h3>'
        f"<p>{description}</p>{_fields(schema)}</article>"
    )


def _fields(schema: Document) -> str:
    properties = schema.get("properties")
    if not properties:
        return f"<p>{_form(schema)}</p>"
    required = schema.get("required", ())
    rows = [
        (
            name,
            "required" if name in required else "optional",
            _form(form),
            escape(form.get("description") or ""),
        )
        for name, form in properties.items()
    ]
    return _table(("Field", "", "Form", "Meaning"), rows)


def _table(columns: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """A table whose first cells are names and whose others are HTML."""
    head = "".join(f'<th scope="col">{column}</th>' for column in columns)
    lines = "".join(
        f'<tr><th scope="row"><code>{escape(name)}</code></th>'
        + "".join(f"<td>{cell}</td>" for cell in cells)
        + "</tr>"
        for name, *cells in rows
    )
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table>"
    return f'<div class="wide">{table}</div>'


def _form(schema: Document) -> str:
    """A schema in a few words, as HTML."""
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f'<a href="#form-{name}"><code>{name}</code></a>'
    if choices := schema.get("oneOf") or schema.get("anyOf"):
        return " or ".join(_form(choice) for choice in choices)
    kind = schema.get("type", "any")
    words = [" or ".join(escape(each) for each in ([kind] if isinstance(kind, str) else kind))]
    if kind == "array":
        words.append(f"of {_form(schema.get('items', {}))}")
    if "enum" in schema:
        words.append(f"of {escape(', '.join(str(each) for each in schema['enum']))}")
    for name, text in (("format", ""), ("pattern", "like "), ("minimum", "from ")):
        if name in schema:
            words.append(f"{text}<code>{escape(str(schema[name]))}</code>")
    if "maximum" in schema:
        words.append(f"to <code>{escape(str(schema['maximum']))}</code>")
    if schema.get("default") is not None:
        words.append(f"(default <code>{escape(str(schema['default']))}</code>)")
    return " ".join(words)
