"""Apache Kafka as a program of this network: its installation, its settings, a node as a process.

`make kafka` puts it on this machine, `python -m evd.kafka_node` becomes a node. Only machines that
run a broker need Java; nothing else here knows that there is any.
"""
