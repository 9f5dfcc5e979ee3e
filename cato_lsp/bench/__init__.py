"""Workloads, replay on a live engine, the same engine under a virtual clock, reports."""
