"""The order of tasks in shell tests is the same in each run."""

import pytest
import trio
import trio._core._run as trio_run

from tests.conftest import SEED

TASKS = 20


async def _order_of_tasks() -> list[int]:
    order: list[int] = []

    async def note(number: int) -> None:
        for _ in range(3):
            await trio.lowlevel.checkpoint()
            order.append(number)

    async with trio.open_nursery() as nursery:
        for number in range(TASKS):
            nursery.start_soon(note, number)
    return order


@pytest.mark.deterministic_trio
def test_the_same_seed_gives_the_same_order() -> None:
    """Proves: a failing shell test fails again, because its tasks run in the same order."""
    orders = []
    for _ in range(3):
        trio_run._r.seed(SEED)
        orders.append(trio.run(_order_of_tasks))
    assert orders[0] == orders[1] == orders[2]


@pytest.mark.deterministic_trio
def test_the_order_is_shuffled() -> None:
    """Proves: the seed is what decides, so that another one tries another order."""
    orders = set()
    for seed in range(5):
        trio_run._r.seed(seed)
        orders.add(tuple(trio.run(_order_of_tasks)))
    assert len(orders) == 5


@pytest.mark.deterministic_trio
def test_the_fixture_seeds_trio() -> None:
    """Proves: the marker alone is enough, without seeding in the test."""
    drawn = trio_run._r.random()
    trio_run._r.seed(SEED)
    assert drawn == trio_run._r.random()
    assert trio_run._ALLOW_DETERMINISTIC_SCHEDULING
