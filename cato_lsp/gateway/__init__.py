"""The server of a team: keys, limits and the wire in front of one engine."""
