"""The real cores of every part in one process, against seeded faults, judged by the invariants."""
