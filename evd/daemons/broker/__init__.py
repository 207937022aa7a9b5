"""evd-broker: `program` is its page."""
