"""The callers of an HTTP server here: how each is known, and what it may ask for."""
