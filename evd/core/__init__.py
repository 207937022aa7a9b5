"""The decisions, pure: events and a time in, effects out. Nothing here waits, reads or draws."""
