"""Adapters against the real thing: sockets, databases, a broker."""
