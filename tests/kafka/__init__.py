"""Apache Kafka itself: our adapters, our topics and our own node program against the real thing.

`cluster` runs one node or three, `readers` writes and reads what must not be lost.
"""
