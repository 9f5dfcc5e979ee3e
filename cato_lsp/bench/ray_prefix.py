"""Ray Serve LLM's prefix router, with Ray's own prefix tree."""

from __future__ import annotations

import importlib
import os
from collections.abc import Sequence
from typing import Any

from cato_lsp.fleet.books import NewCall, ReplicaBook

MATCH_RATE = 0.1
"""Ray's default: below this matched part of the prompt, the replica that was sent least is chosen."""
_TREE = "ray.llm._internal.serve.routing_policies.prefix_aware.prefix_tree"


class RayPrefix:
    """The replica that has been sent most of the prompt; among several, the one with the fewest open calls.

    The rule of Ray's `PrefixCacheAffinityRouter` with its defaults, among them ``imbalanced_threshold=inf``: it never
    looks at the load otherwise. The tree gets one character for each block of tokens instead of the text.

    Raises:
        ValueError: Ray Serve LLM is not installed.
    """

    def __init__(self) -> None:
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        try:
            self._tree: Any = importlib.import_module(_TREE).PrefixTree()
        except ImportError as error:
            raise ValueError(f"the router `prefix` needs Ray (pip install cato-lsp[fleet]): {error}") from error

    def choose(self, call: NewCall, books: Sequence[ReplicaBook], now: float, /) -> ReplicaBook:
        """See `Router.choose`."""
        tree, names = self._tree, [book.name for book in books]
        tree.add_tenants([name for name in names if name not in tree.tenant_to_char_count], now)
        # Planes 1 to 3 of Unicode: characters without surrogates.
        text = "".join([chr(0x10000 + hash(block) % 0x30000) for block in call.blocks])
        matched, tenants = tree.prefix_match(text, names)
        if not text or len(matched) / len(text) < MATCH_RATE:
            tenants = tree.get_smallest_tenants()
        chosen = min((book for book in books if book.name in tenants), key=lambda book: len(book.calls))
        tree.insert(text, chosen.name, now)
        return chosen

    def removed(self, name: str, /) -> None:
        """See `Router.removed`."""
        self._tree.remove_tenants([name])
