"""Apache Kafka itself: our adapters, our topics and our own node program against the real thing.

`cluster` runs one node or three; `tests.network.pairs` writes to them and reads.
"""
