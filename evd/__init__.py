"""A network of EV charging points: Central, and for each point an engine and a monitor."""
