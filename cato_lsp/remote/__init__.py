"""A remote engine: the wire between laptop and server, and the laptop's side of it."""
