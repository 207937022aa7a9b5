"""The status feed over real and remembered streams."""
