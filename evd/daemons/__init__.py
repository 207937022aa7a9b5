"""The processes: each waits, asks the core, and carries out what it answers, in its order."""
