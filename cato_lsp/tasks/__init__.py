"""Coding: prompts per model family, context, stop rules and shaping. Plain functions on immutable text."""
