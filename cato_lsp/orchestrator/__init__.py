"""Deadlines, admission, superseding and prefetching of tasks."""
