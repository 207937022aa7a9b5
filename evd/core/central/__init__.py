"""Central's decisions: `core` is the way in, `events` are the words it understands."""
