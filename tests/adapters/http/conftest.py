"""Central's HTTP for each test that asks for it."""

from collections.abc import AsyncIterator

import pytest

from tests.adapters.http.fake_central import Client, FakeCentral


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    """A client of the app behind which a new FakeCentral stands."""
    async with Client(FakeCentral()) as client:
        yield client
