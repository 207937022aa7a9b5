"""Three nodes of Apache Kafka, of which one and then two die under load."""

import pytest
import trio

from tests.kafka.conftest import KafkaNetwork
from tests.network.pairs import Stream, open_pair

pytestmark = pytest.mark.kafka

# One of three dead: another one leads, sends go on.
TAKEOVER_S_MAX = 10.0
RECOVERY_S_MAX = 20.0


async def test_one_and_then_two_of_three_die(kafka_network: KafkaNetwork) -> None:
    """Proves: with one dead all goes on, with two sends wait; nothing confirmed is ever lost."""
    cluster = await trio.to_thread.run_sync(kafka_network, 3)
    first, second, third = cluster.nodes
    async with open_pair(cluster.bootstrap) as pair, trio.open_nursery() as nursery:
        stream = Stream(pair)
        nursery.start_soon(stream.run)
        await stream.until_confirmed(200)

        await trio.to_thread.run_sync(first.kill)
        await stream.until_confirmed(500, within_s=TAKEOVER_S_MAX)

        await trio.to_thread.run_sync(second.kill)
        # A message that was on its way may still be confirmed.
        await trio.sleep(0.5)
        confirmed_count = len(stream.confirmed)
        await trio.sleep(3)
        assert len(stream.confirmed) == confirmed_count, "one copy is not enough to confirm"

        first.start()
        await stream.until_confirmed(500, within_s=RECOVERY_S_MAX)
        second.start()
        await trio.to_thread.run_sync(cluster.wait_until_up)
        await stream.until_confirmed(200)

        await trio.to_thread.run_sync(third.kill)
        await stream.until_confirmed(500, within_s=TAKEOVER_S_MAX)
        await stream.assert_nothing_is_lost()
        nursery.cancel_scope.cancel()


async def test_each_disk_of_three_is_lost_in_turn(kafka_network: KafkaNetwork) -> None:
    """Proves: a node that comes back empty is filled again, and then stands in for others.

    One of the three led the cluster: back before the others have chosen another leader, it ends
    until they have.
    """
    cluster = await trio.to_thread.run_sync(kafka_network, 3)
    async with open_pair(cluster.bootstrap) as pair, trio.open_nursery() as nursery:
        stream = Stream(pair)
        nursery.start_soon(stream.run)
        for node in cluster.nodes:
            await stream.until_confirmed(200)
            await trio.to_thread.run_sync(node.kill)
            node.wipe()
            await trio.to_thread.run_sync(node.start_supervised)
            await trio.to_thread.run_sync(cluster.wait_until_whole)

        await trio.to_thread.run_sync(cluster.nodes[1].kill)
        await stream.until_confirmed(500, within_s=RECOVERY_S_MAX)
        await pair.until_read(*stream.confirmed)
        assert pair.consumer.logs_lost_count == 0
        nursery.cancel_scope.cancel()
    # A reader from the beginning finds all of it on the two that are left.
    async with open_pair(cluster.bootstrap, group_id="afterwards") as later:
        await later.until_read(*stream.confirmed)
