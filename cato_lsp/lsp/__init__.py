"""Editors: the protocol, sessions and snapshots. The only room that imports pygls and lsprotocol."""
