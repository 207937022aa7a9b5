"""HTTP: what Central and a driver's dashboard answer, and the server that stands before it."""
