"""The server of a team: keys, limits and network interfaces of one engine."""
