"""Syntax errors within a part of a file."""

from __future__ import annotations

from tree_sitter import Node

from cato_lsp.tasks.languages import syntax_tree


def has_errors_within(language_id: str, before: str, text: str, after: str) -> bool:
    """Whether ``text`` has a syntax error between ``before`` and ``after``.

    Errors outside of ``text`` do not count: the surroundings may be any part of a file. Languages without a
    grammar have no errors.
    """
    head = before.encode()
    body = text.encode()
    tree = syntax_tree(language_id, head + body + after.encode())
    if tree is None:
        return False
    root = tree.root_node
    return root.has_error and _error_between(root, len(head), len(head) + len(body))


def _error_between(node: Node, start: int, end: int) -> bool:
    """Whether an error node, or a missing one, touches the bytes ``[start, end)`` and is not around all of
    them.
    """
    if node.end_byte < start or node.start_byte >= end or not (node.has_error or node.is_missing):
        return False
    if node.is_missing:
        return True
    if node.is_error and (node.start_byte >= start or node.end_byte <= end):
        return True
    return any(_error_between(child, start, end) for child in node.children)
