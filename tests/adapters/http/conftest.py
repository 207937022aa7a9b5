"""Central's HTTP for each test that asks for it."""

from collections.abc import AsyncIterator

import pytest

from tests.adapters.http.driver_scene import Scene, dashboard
from tests.adapters.http.fake_central import Client, FakeCentral


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    """A client of the app behind which a new FakeCentral stands."""
    async with Client(FakeCentral()) as client:
        yield client


@pytest.fixture
async def s() -> AsyncIterator[Scene]:
    """A driver's dashboard on a free port."""
    async with dashboard() as scene:
        yield scene
