"""The lease by which one of several Centrals serves."""
