"""evd-engine: `program` is its page."""
