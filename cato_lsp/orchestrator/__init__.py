"""Promises: deadlines over sequences of calls, admission, supersede and cancel."""
