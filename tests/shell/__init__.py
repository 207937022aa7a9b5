"""Daemons over memory streams and a virtual clock."""
