"""Editors: the protocol, sessions and snapshots. The only package that imports pygls and lsprotocol."""
