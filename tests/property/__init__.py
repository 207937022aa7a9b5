"""Codecs, machines and ledgers under arbitrary input."""
