"""One module per outside system, each behind a port of :mod:`proml.ports`."""
