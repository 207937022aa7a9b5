"""The partition of a key is the one that librdkafka and Java's clients write it to."""

import ctypes

import pytest
from confluent_kafka import cimpl
from hypothesis import example, given
from hypothesis import strategies as st

from evd.core.wire.partition import murmur2, partition_for

_partitioner = ctypes.CDLL(cimpl.__file__).rd_kafka_msg_partitioner_murmur2
_partitioner.restype = ctypes.c_int32
_partitioner.argtypes = [
    ctypes.c_void_p,
    ctypes.c_char_p,
    ctypes.c_size_t,
    ctypes.c_int32,
    ctypes.c_void_p,
    ctypes.c_void_p,
]


def librdkafka_partition(key: bytes, partitions: int) -> int:
    """The answer of librdkafka's own partitioner."""
    return int(_partitioner(None, key, len(key), partitions, None, None))


@given(st.binary(max_size=200), st.integers(1, 2**31 - 1))
@example(b"", 4)
@example(b"CP-001", 4)
def test_agrees_with_librdkafka(key: bytes, partitions: int) -> None:
    """Proves: a reader of one key's partition reads what librdkafka's clients write there."""
    assert partition_for(key, partitions) == librdkafka_partition(key, partitions)


@pytest.mark.parametrize(
    ("key", "signed"),
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_agrees_with_java(key: bytes, signed: int) -> None:
    """Proves: the hash is bit for bit the one that Kafka's Java client computes."""
    assert murmur2(key) == signed % 2**32


@pytest.mark.parametrize("partitions", [0, -1])
def test_no_partition_is_an_error(partitions: int) -> None:
    """Proves: a topic without partitions is refused, never divided by."""
    with pytest.raises(ValueError, match="partitions"):
        partition_for(b"CP-001", partitions)
