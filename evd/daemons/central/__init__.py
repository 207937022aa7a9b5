"""evd-central: `program` is its page."""
