"""A fleet: several engines behind one gateway, and the router that chooses an engine for each call."""
