"""Which partition of a topic holds a key, as Kafka's Java clients and librdkafka reckon it, and how
far one has been read.

A reader that wants one key alone (an engine its commands, a driver its updates) reads the one
partition that its writers choose with `murmur2_random`.
"""

from typing import Final, NamedTuple

MURMUR2_SEED: Final = 0x9747B28C
MURMUR2_MULTIPLIER: Final = 0x5BD1E995
_WORD = 0xFFFF_FFFF

# A topic and one of its partitions.
Place = tuple[str, int]


class Mark(NamedTuple):
    """The `offset` after the last message of a partition that is done with.

    `log`: the id of the cluster that it counts in.  A broker that comes back without its data is
    another cluster, and in its log the same offset is before or behind other messages.
    """

    log: str
    offset: int


def murmur2(key: bytes) -> int:
    """The 32-bit MurmurHash2 of `key`, unsigned (Java shows the same bits as a signed number)."""
    length = len(key)
    digest = MURMUR2_SEED ^ length
    whole = length - length % 4
    for start in range(0, whole, 4):
        word = int.from_bytes(key[start : start + 4], "little") * MURMUR2_MULTIPLIER & _WORD
        word = (word ^ word >> 24) * MURMUR2_MULTIPLIER & _WORD
        digest = digest * MURMUR2_MULTIPLIER & _WORD ^ word
    if whole < length:
        digest ^= int.from_bytes(key[whole:], "little")
        digest = digest * MURMUR2_MULTIPLIER & _WORD
    digest = (digest ^ digest >> 13) * MURMUR2_MULTIPLIER & _WORD
    return digest ^ digest >> 15


def partition_for(key: bytes, partitions: int) -> int:
    """The partition, 0 to `partitions` - 1, into which `murmur2_random` puts a message of `key`.

    Raises ValueError where there is no partition.
    """
    if partitions < 1:
        raise ValueError(f"partitions must be at least 1, not {partitions}")
    # The sign bit is cut off, not the number made positive: so do the Java clients.
    return (murmur2(key) & 0x7FFF_FFFF) % partitions
