"""Installs the engine: which vLLM fits this machine, what it needs of the system, and whether it works."""
