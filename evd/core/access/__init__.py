"""Access: the people, tokens and charging points that may ask, and for what.  Pure."""
