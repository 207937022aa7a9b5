"""Random faults on a whole network of real processes, and what it owes its users afterwards."""
