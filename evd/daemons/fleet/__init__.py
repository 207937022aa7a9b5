"""The programme of `evd fleet`: it plays charging points and drivers against a Central."""
