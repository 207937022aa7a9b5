"""Small files in a state directory, written whole or not at all."""
