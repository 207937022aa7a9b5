"""The edges: each module alone imports the library that it wraps."""
