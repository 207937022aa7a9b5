"""Several Centrals on one database: one serves, the others stand by."""
