"""One message sent and waited for, as no daemon does it."""

from evd.adapters.kafka import Producer
from evd.adapters.kafka.producer import Headers

DELIVERY_S_MAX = 5.0


async def delivered(
    producer: Producer,
    topic: str,
    key: str | bytes | None,
    value: bytes,
    headers: Headers | None = None,
    *,
    within_s: float = DELIVERY_S_MAX,
) -> bool:
    """Post a message; whether the brokers confirmed it, if no other fails meanwhile."""
    failed_count = producer.failed_count
    if not producer.post(topic, key, value, headers):
        return False
    return await producer.flush(within_s) and producer.failed_count == failed_count
