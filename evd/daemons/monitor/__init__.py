"""evd-monitor: `program` is its page."""
