"""evd-driver: `program` is its page."""
