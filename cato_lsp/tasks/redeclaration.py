"""Names that JavaScript declares twice, which is an error that its grammar does not show."""

from __future__ import annotations

from collections.abc import Iterator

from tree_sitter import Node

from cato_lsp.tasks.languages import syntax_tree

LANGUAGES = frozenset({"javascript", "javascriptreact", "typescript", "typescriptreact"})
_SCOPES = frozenset({"program", "statement_block"})


def without_redeclaration(text: str, language: str) -> str:
    """The text with `let x = 1` as `x = 1` where the scope has declared `x` already, as a parameter or before.

    So is `let [x, y] = z` if both names are declared.
    """
    source = text.encode()
    tree = syntax_tree(language, source) if language in LANGUAGES else None
    if tree is None:
        return text
    open_nodes, again = [tree.root_node], list[Node]()
    while open_nodes:
        node = open_nodes.pop()
        open_nodes += node.children
        if node.type in _SCOPES:
            again += _redeclarations(node)
    for declaration in sorted(again, key=lambda node: node.start_byte, reverse=True):
        declarator = declaration.named_children[0]
        name, type_ = declarator.child_by_field_name("name"), declarator.child_by_field_name("type")
        if name is not None:
            rest = source[(type_ or name).end_byte :]
            source = source[: declaration.start_byte] + source[name.start_byte : name.end_byte] + rest
    return source.decode()


def _redeclarations(scope: Node) -> Iterator[Node]:
    """Declarations by `let` or `const`, of one variable or pattern, all of whose names were declared before."""
    known = set(_parameters(scope))
    for statement in scope.children:
        if statement.type != "lexical_declaration":
            continue
        patterns = [declarator.child_by_field_name("name") for declarator in statement.named_children]
        names = [name for pattern in patterns if pattern is not None for name in _names(pattern)]
        if len(patterns) == 1 and names and known.issuperset(names) and _stands_alone(statement):
            yield statement
        known.update(names)


def _names(pattern: Node) -> list[str]:
    """The names of `x` or `[x, y]`; empty for other patterns."""
    names = pattern.named_children if pattern.type == "array_pattern" else [pattern]
    return [_text(name) for name in names] if all(name.type == "identifier" for name in names) else []


def _stands_alone(statement: Node) -> bool:
    """Whether the statement before it ends with a sign, so that a bracket at its start does not go on with it."""
    before = statement.prev_named_sibling
    return before is None or (before.text or b"").endswith((b";", b"}"))


def _parameters(scope: Node) -> Iterator[str]:
    """The names of the parameters of the function whose body is this block."""
    parameters = scope.parent.child_by_field_name("parameters") if scope.parent is not None else None
    for each in parameters.named_children if parameters is not None else ():
        # `x`, `x = 1`, `...x`; in TypeScript `x: T = 1`
        names = [each, each.child_by_field_name("left"), each.child_by_field_name("pattern"), *each.named_children[:1]]
        yield from (_text(name) for name in names if name is not None and name.type == "identifier")


def _text(node: Node | None) -> str:
    return "" if node is None else (node.text or b"").decode(errors="replace")
