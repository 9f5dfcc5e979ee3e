"""Installs the engine: chooses the vLLM build for this machine, provides system libraries, and checks the result."""
