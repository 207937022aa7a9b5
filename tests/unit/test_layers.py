"""Which part may import what, read from the sources: a wrong import fails here, not later.

`cli -> daemons -> core`, `adapters -> core`, `core -> nothing`.  In each layer a program has a room
of its own, and no program's room imports another's.
"""

import ast
import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

import evd

PACKAGE = Path(evd.__file__).parent

# Neither a clock, nor chance, nor a file, nor a log.
PURE = {
    *(
        "abc",
        "array",
        "base64",
        "bisect",
        "collections",
        "contextlib",
        "copy",
        "dataclasses",
        "datetime",
    ),
    *(
        "decimal",
        "enum",
        "fractions",
        "functools",
        "hashlib",
        "heapq",
        "ipaddress",
        "itertools",
        "json",
    ),
    *("math", "operator", "re", "string", "struct", "types", "typing", "uuid", "zlib"),
}
CORE_LIBRARIES = {"attr", "attrs", "cattr", "cattrs", "orjson"}
ADAPTER_LIBRARIES = {
    *("alembic", "argon2", "confluent_kafka", "ctypes", "h11", "httpx", "jwt", "litestar"),
    *("prometheus_client", "psycopg", "sqlalchemy", "sqlite3", "ssl", "trio_websocket", "wsproto"),
}
ADAPTER_ONLY = ADAPTER_LIBRARIES | {"threading", "concurrent", "queue"}
# Those that have one place even among adapters.
PLACES = {"ssl": {"evd.adapters.tls", "evd.adapters.trust"}}
PROGRAMS = ("central", "driver", "engine", "fleet", "monitor")
# The parts of this package that each layer may import.
ALLOWED = {
    "core/wire": ("evd.core.wire",),
    "adapters": ("evd.core", "evd.adapters", "evd.logs", "evd.addresses", "evd.version"),
    "daemons": (
        *("evd.core", "evd.adapters", "evd.daemons", "evd.config", "evd.flags", "evd.logs"),
        *("evd.addresses", "evd.protection", "evd.secret_files"),
    ),
}
# Modules of the programs' cores that hold values, for adapters to carry: none of them decides.
VALUES = {
    *("central.events", "central.overview", "central.power", "central.rows", "central.spans"),
    *("central.statistics", "central.timeline", "central.views"),
    *("driver.disk", "driver.events", "driver.lines", "driver.requests_file", "engine.events"),
}
# Calls of pure modules that are not pure: they read a clock or draw a number.
IMPURE_CALLS = {"now", "utcnow", "today", "uuid1", "uuid4"}


@cache
def modules(below: str = "") -> list[Path]:
    """The modules of the package, or of one part of it."""
    return sorted((PACKAGE / below).rglob("*.py"))


def name_of(path: Path) -> str:
    """The dotted name of a module."""
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


@cache
def imported(path: Path) -> frozenset[str]:
    """The dotted names that a module imports, anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute here"
            assert node.module is not None
            # `from evd.core import framing` imports a module, `from math import inf` does not.
            whole = node.module.partition(".")[0] == "evd"
            names = (f"{node.module}.{alias.name}" for alias in node.names)
            found.update(names if whole else (node.module,))
    return frozenset(found)


def roots(path: Path) -> set[str]:
    """The top-level packages that a module imports."""
    return {name.partition(".")[0] for name in imported(path)}


def own(path: Path) -> set[str]:
    """The modules of this package that a module imports."""
    return {name for name in imported(path) if name.partition(".")[0] == "evd"}


def is_below(name: str, *parents: str) -> bool:
    """Whether a dotted name is one of `parents` or inside one."""
    return any(name == parent or name.startswith(parent + ".") for parent in parents)


def others_of(path: Path) -> list[str]:
    """The rooms of all programs, in core and daemons, but of that in whose room a module is."""
    rooms = path.relative_to(PACKAGE).parts
    return [
        f"evd.{layer}.{program}"
        for layer in ("core", "daemons")
        for program in PROGRAMS
        if program not in rooms
    ]


def led_to(path: Path) -> set[Path]:
    """A module of the core, and all that are imported with it."""
    found: set[Path] = set()
    new = {path}
    while new:
        module = new.pop()
        found.add(module)
        names = own(module)
        new |= {each for each in modules("core") if is_imported(each, names)} - found
    return found


def is_imported(path: Path, names: set[str]) -> bool:
    """Whether one of the imported names is this module, or in it."""
    return path.name != "__init__.py" and any(is_below(name, name_of(path)) for name in names)


# The simulation runs what orders a daemon's reads, saves and sends too.
PURE_MODULES = [*modules("core"), *(path for path in modules("daemons") if path.name == "steps.py")]


def impure_calls(source: bytes) -> Iterator[str]:
    """The calls that read a clock, draw a number or reach outside."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            receiver = ast.unparse(node.func.value)
            is_module = receiver.rpartition(".")[2] in ("datetime", "date", "uuid")
            if is_module and node.func.attr in IMPURE_CALLS:
                yield ast.unparse(node)
        if isinstance(node, ast.Name) and node.id in ("open", "print", "input"):
            yield f"line {node.lineno}: {node.id}"


def wrong_libraries(path: Path) -> set[str]:
    """The libraries that a module imports and that are another part's."""
    forbidden = {"asyncio"}
    if not is_below(name_of(path), "evd.adapters"):
        forbidden |= ADAPTER_ONLY
    if not is_below(name_of(path), "evd.cli"):
        forbidden.add("rich")
    forbidden |= {library for library, places in PLACES.items() if name_of(path) not in places}
    return roots(path) & forbidden


def told(faults: Mapping[Path, Iterable[str]]) -> list[str]:
    """One line for each module with a fault."""
    return [f"{name_of(path)}: {', '.join(each)}" for path, each in faults.items() if each]


def test_core_is_pure() -> None:
    """Proves: what decides can be run again in a simulation, because nothing else comes into it."""
    allowed = PURE | CORE_LIBRARIES | {"evd", "__future__"}
    assert told({path: roots(path) - allowed for path in PURE_MODULES}) == []
    outside = {
        path: [name for name in own(path) if not is_below(name, "evd.core")]
        for path in PURE_MODULES
    }
    assert told(outside) == []
    assert told({path: [*impure_calls(path.read_bytes())] for path in PURE_MODULES}) == []


def test_no_program_imports_another() -> None:
    """Proves: a program can be understood, changed, run and loaded with its own core and daemon and
    the words alone."""
    wrong = {
        path: [name for name in own(path) if is_below(name, *others_of(path))]
        for path in [*modules("core"), *modules("daemons")]
    }
    assert told(wrong) == []


@pytest.mark.parametrize("part", ALLOWED)
def test_a_layer_knows_those_below_it(part: str) -> None:
    """Proves: a message means the same to all programs, because it is made for none of them; an
    adapter can be replaced, because it knows nobody who uses it; a daemon runs without the
    operator's tool, and does not load it."""
    wrong = {
        path: [name for name in own(path) - {"evd"} if not is_below(name, *ALLOWED[part])]
        for path in modules(part)
    }
    assert told(wrong) == []


def test_adapters_import_values_alone() -> None:
    """Proves: an adapter carries what a core decided, and can't ask it to decide anything."""
    values = [f"evd.core.{name}" for name in VALUES]
    cores = [f"evd.core.{program}" for program in PROGRAMS]
    wrong = {
        path: [each for each in own(path) if is_below(each, *cores) and not is_below(each, *values)]
        for path in modules("adapters")
    }
    assert told(wrong) == []


def test_libraries_have_one_place() -> None:
    """Proves: only adapters import the libraries that they wrap, and only they have threads; no
    daemon pays for what draws the operator's tables; how TLS is spoken is said in one place."""
    assert told({path: wrong_libraries(path) for path in modules()}) == []


@pytest.mark.parametrize("name", sorted(VALUES))
def test_values_lead_to_no_core_that_decides(name: str) -> None:
    """Proves: what adapters import of a core does not load the machine of that program."""
    path = PACKAGE / "core" / f"{name.replace('.', '/')}.py"
    assert [each for each in led_to(path) if each.name == "core.py"] == []


def test_the_rules_find_what_they_forbid(tmp_path: Path) -> None:
    """Proves: an import inside a function, under an alias or of a submodule is seen."""
    path = tmp_path / "bad.py"
    path.write_text(
        "def f():\n    import os.path as p\n    from concurrent.futures import Future\n"
        "    from evd import cli, logs\n"
    )
    assert roots(path) == {"os", "concurrent", "evd"}
    assert own(path) == {"evd.cli", "evd.logs"}
    assert wrong_libraries(PACKAGE / "logs.py") == set()
    assert told({PACKAGE / "logs.py": roots(path) & ADAPTER_ONLY}) == ["evd.logs: concurrent"]


def test_the_pure_modules_exist() -> None:
    """Proves: the list of pure modules has no name that stands for nothing."""
    assert sys.stdlib_module_names >= PURE


@pytest.mark.parametrize(
    "source", ["x = datetime.now(UTC)", "x = datetime.date.today()", "open('x')", "f(print)"]
)
def test_an_impure_call_is_found(source: str) -> None:
    """Proves: a decision that reads a clock or a file is seen, however it is spelled."""
    assert len([*impure_calls(source.encode())]) == 1
