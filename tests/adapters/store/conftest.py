"""One PostgreSQL server for all tests of Central's database."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from evd.adapters.store import Store, open_store
from tests.adapters.store.databases import new_postgres_url, postgres_server


@pytest.fixture(scope="session")
def postgres() -> Iterator[Path]:
    """One server for all tests of a run."""
    with postgres_server() as directory:
        yield directory


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def db_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of either kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'central.db'}"
    return new_postgres_url(request.getfixturevalue("postgres"))


@pytest.fixture
async def store(db_url: str, tmp_path: Path) -> AsyncIterator[Store]:
    """A new database of either kind, open."""
    async with open_store(db_url, tmp_path) as opened:
        yield opened
