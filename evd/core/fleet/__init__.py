"""A fleet of charging points that is played, to see what a Central carries."""
