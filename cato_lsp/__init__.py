"""cato-lsp: editor events become coding tasks with deadlines, served by an in-process vLLM engine."""

from __future__ import annotations

__version__ = "0.1.0"
