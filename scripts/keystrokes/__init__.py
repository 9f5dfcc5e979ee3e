"""Recorded typing sessions: how they are made, and how they are played."""
