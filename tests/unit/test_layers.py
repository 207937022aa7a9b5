"""Which part may import what, read from the sources: a wrong import fails here, not later.

`cli -> daemons -> core`, `adapters -> core`, `core -> nothing`.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import evd

PACKAGE = Path(evd.__file__).parent

# Neither a clock, nor chance, nor a file, nor a log.
PURE = {
    *("abc", "bisect", "collections", "contextlib", "copy", "dataclasses", "datetime", "decimal"),
    *("enum", "fractions", "functools", "hashlib", "heapq", "itertools", "json", "math"),
    *("operator", "re", "string", "struct", "types", "typing", "uuid", "zlib"),
}
CORE_LIBRARIES = {"attr", "attrs", "cattr", "cattrs", "orjson"}
ADAPTER_LIBRARIES = {
    *("alembic", "confluent_kafka", "ctypes", "h11", "httpx", "litestar"),
    *("prometheus_client", "psycopg", "sqlalchemy", "sqlite3", "trio_websocket", "wsproto"),
}
ADAPTER_ONLY = ADAPTER_LIBRARIES | {"threading", "concurrent", "queue"}
# Calls of pure modules that are not pure: they read a clock or draw a number.
IMPURE_CALLS = {"now", "utcnow", "today", "uuid1", "uuid4"}


def modules(below: str = "") -> list[Path]:
    """The modules of the package, or of one part of it."""
    return sorted((PACKAGE / below).rglob("*.py"))


def name_of(path: Path) -> str:
    """The dotted name of a module."""
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def imported(path: Path) -> Iterator[str]:
    """The dotted names that a module imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute here"
            assert node.module is not None
            # `from evd.core import framing` imports a module, `from math import inf` does not.
            whole = node.module.partition(".")[0] == "evd"
            names = (f"{node.module}.{alias.name}" for alias in node.names)
            yield from names if whole else (node.module,)


def roots(path: Path) -> set[str]:
    """The top-level packages that a module imports."""
    return {name.partition(".")[0] for name in imported(path)}


def own(path: Path) -> set[str]:
    """What a module imports of this package."""
    return {name for name in imported(path) if name.partition(".")[0] == "evd"}


def is_below(name: str, *parents: str) -> bool:
    """Whether a dotted name is one of `parents` or inside one."""
    return any(name == parent or name.startswith(parent + ".") for parent in parents)


@pytest.mark.parametrize("path", modules("core"), ids=name_of)
def test_core_is_pure(path: Path) -> None:
    """Proves: what decides can be run again in a simulation, because nothing else comes into it."""
    allowed = PURE | CORE_LIBRARIES | {"evd", "__future__"}
    assert roots(path) <= allowed
    assert all(is_below(name, "evd.core") for name in own(path))
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            receiver = ast.unparse(node.func.value)
            is_module = receiver.rpartition(".")[2] in ("datetime", "date", "uuid")
            assert not (is_module and node.func.attr in IMPURE_CALLS), ast.unparse(node)
        if isinstance(node, ast.Name):
            assert node.id not in ("open", "print", "input"), f"line {node.lineno}"


@pytest.mark.parametrize("path", modules("adapters"), ids=name_of)
def test_adapters_know_the_core_alone(path: Path) -> None:
    """Proves: an adapter can be replaced, because it knows nobody who uses it."""
    assert all(is_below(name, "evd.core", "evd.adapters", "evd.logs") for name in own(path))


@pytest.mark.parametrize("path", modules("daemons"), ids=name_of)
def test_daemons_do_not_know_the_tool(path: Path) -> None:
    """Proves: a daemon runs without the operator's tool, and does not load it."""
    allowed = ("evd.core", "evd.adapters", "evd.daemons", "evd.config", "evd.flags", "evd.logs")
    assert all(is_below(name, *allowed) for name in own(path) - {"evd"})


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_libraries_have_one_place(path: Path) -> None:
    """Proves: only adapters import the libraries that they wrap, and only they have threads."""
    if not is_below(name_of(path), "evd.adapters"):
        assert not roots(path) & ADAPTER_ONLY
    assert "asyncio" not in roots(path)


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_rich_is_for_the_tool(path: Path) -> None:
    """Proves: no daemon pays for what draws the operator's tables."""
    if not is_below(name_of(path), "evd.cli"):
        assert "rich" not in roots(path)


def test_the_rules_find_what_they_forbid(tmp_path: Path) -> None:
    """Proves: an import inside a function, under an alias or of a submodule is seen."""
    path = tmp_path / "bad.py"
    path.write_text(
        "def f():\n    import os.path as p\n    from concurrent.futures import Future\n"
        "    from evd import cli, logs\n"
    )
    assert roots(path) == {"os", "concurrent", "evd"}
    assert own(path) == {"evd.cli", "evd.logs"}


def test_the_pure_modules_exist() -> None:
    """Proves: the list of pure modules has no name that stands for nothing."""
    assert sys.stdlib_module_names >= PURE
