"""Central's core, one dialogue after another."""
