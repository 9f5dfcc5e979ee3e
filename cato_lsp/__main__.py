"""``python -m cato_lsp`` is ``cato-lsp``."""

from cato_lsp.cli import main

main()
