"""Debian's Prometheus judges names, rules and configuration, and watches a running network."""
