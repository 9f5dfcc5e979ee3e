"""A Ray cluster of several nodes on this machine, and calls that show what a fleet on it does."""
