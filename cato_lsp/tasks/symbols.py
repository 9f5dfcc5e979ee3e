"""The functions and types of a source file, found with tree-sitter."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple

from tree_sitter import Node

from cato_lsp.tasks.language import DocStyle
from cato_lsp.tasks.languages import language_of, syntax_tree

_FUNCTIONS = frozenset(
    {
        "function_definition",
        "function_declaration",
        "generator_function_declaration",
        "function_signature",
        "function_item",
        "function_signature_item",
        "method_definition",
        "method_declaration",
        "method_signature",
        "constructor_declaration",
    }
)
_TYPES = frozenset(
    {
        "class_definition",
        "class_declaration",
        "abstract_class_declaration",
        "class_specifier",
        "interface_declaration",
        "enum_declaration",
        "record_declaration",
        "type_declaration",
        "type_alias_declaration",
        "struct_item",
        "struct_specifier",
        "enum_item",
        "enum_specifier",
        "union_item",
        "trait_item",
    }
)
_CONTAINERS = frozenset({"impl_item", "mod_item", "namespace_definition", "internal_module", "linkage_specification"})
_WRAPPERS = frozenset({"decorated_definition", "export_statement", "template_declaration", "expression_statement"})
_VARIABLES = frozenset({"lexical_declaration", "variable_declaration"})
_FUNCTION_VALUES = frozenset({"arrow_function", "function_expression", "function", "generator_function"})
_COMMENTS = frozenset({"comment", "line_comment", "block_comment"})
_LEADING = _COMMENTS | {"attribute_item"}


class SymbolKind(StrEnum):
    """The kind of a symbol."""

    FUNCTION = "function"
    TYPE = "type"
    CONTAINER = "container"
    """Contains symbols and is not documented itself: a namespace, a Rust ``impl``."""


class Span(NamedTuple):
    """Characters ``[start, end)`` of the text."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Symbol:
    """A function or a type. All offsets count code points."""

    kind: SymbolKind
    name: str
    span: Span
    """With decorators, ``export``, template head; without the comment above."""
    head: int
    """Start of the definition itself, after decorators."""
    body: Span | None
    """With its braces, if the language has them."""
    doc: Span | None
    """Its documentation: a docstring, or the doc comments right above."""
    children: tuple[Symbol, ...] = field(default=(), repr=False)

    def walk(self) -> Iterator[Symbol]:
        """The symbol and all symbols within it, in the order of the text."""
        yield self
        for child in self.children:
            yield from child.walk()


class Outline:
    """The symbols of one text.

    :param language: LSP language id; a language without a grammar has no symbols.
    """

    def __init__(self, text: str, language: str) -> None:
        self.text = text
        self.language = language
        source = text.encode()
        tree = syntax_tree(language, source)
        self._chars = _offsets(text, source)
        self._root = None if tree is None else tree.root_node
        self.top = tuple(self._symbols(self._root)) if self._root is not None else ()

    def walk(self) -> Iterator[Symbol]:
        """All symbols, in the order of the text."""
        for symbol in self.top:
            yield from symbol.walk()

    def enclosing(self, start: int, end: int) -> Symbol | None:
        """The smallest function or type whose lines contain ``[start, end)``."""
        found = None
        for symbol in self.walk():
            first = self.text.rfind("\n", 0, symbol.span.start) + 1
            if symbol.kind is not SymbolKind.CONTAINER and first <= start and end <= symbol.span.end:
                found = symbol
        return found

    def within(self, start: int, end: int) -> list[Symbol]:
        """The outermost symbols that lie in ``[start, end)``."""
        return [
            symbol
            for symbol in _outermost(self.top, lambda each: start <= each.span.start and each.span.end <= end)
            if symbol.kind is not SymbolKind.CONTAINER
        ]

    def pieces(self, start: int, end: int) -> list[Span]:
        """``[start, end)`` cut before each top-level definition or statement that follows a definition.

        The pieces join to the whole; comments stay with what they stand above.
        """
        if self._root is None:
            return [Span(start, end)]
        cuts = [start]
        after_definition = False
        pending: int | None = None
        for node in self._root.named_children:
            at = self._chars(node.start_byte)
            if node.type in _LEADING:
                pending = at if pending is None else pending
                continue
            is_definition = self._definition(node) is not None
            at = at if pending is None else pending
            at = self.text.rfind("\n", 0, at) + 1
            if (is_definition or after_definition) and cuts[-1] < at < end:
                cuts.append(at)
            after_definition, pending = is_definition, None
        return [Span(first, last) for first, last in zip(cuts, [*cuts[1:], end], strict=True)]

    def _symbols(self, parent: Node) -> Iterator[Symbol]:
        for node in parent.named_children:
            found = self._definition(node)
            if found is not None:
                yield self._symbol(node, *found)
            elif node.has_error or node.type.endswith(("_list", "_body", "block")) or node.type.startswith("preproc"):
                yield from self._symbols(node)

    def _definition(self, node: Node) -> tuple[Node, SymbolKind] | None:
        """The definition that ``node`` is or wraps, and its kind."""
        if node.type in _FUNCTIONS:
            return node, SymbolKind.FUNCTION
        if node.type in _TYPES and (node.child_by_field_name("body") or not node.type.endswith("_specifier")):
            return node, SymbolKind.TYPE
        if node.type in _CONTAINERS:
            return node, SymbolKind.CONTAINER
        if node.type in _VARIABLES and len(node.named_children) == 1:
            value = node.named_children[0].child_by_field_name("value")
            return (node.named_children[0], SymbolKind.FUNCTION) if value and value.type in _FUNCTION_VALUES else None
        if node.type in _WRAPPERS:
            return next(filter(None, map(self._definition, node.named_children)), None)
        return None

    def _symbol(self, node: Node, inner: Node, kind: SymbolKind) -> Symbol:
        value = inner.child_by_field_name("value")
        body = (value or inner).child_by_field_name("body")
        children = tuple(self._symbols(body)) if body is not None and kind is not SymbolKind.FUNCTION else ()
        doc = (
            self._docstring(body)
            if language_of(self.language).doc_style is DocStyle.DOCSTRING
            else self._comment_above(node)
        )
        head = inner.start_byte if node.type == "decorated_definition" else node.start_byte
        spanned = self._span(body) if body is not None else None
        return Symbol(kind, _name(inner), self._span(node), self._chars(head), spanned, doc, children)

    def _docstring(self, body: Node | None) -> Span | None:
        first = body.named_children[0] if body is not None and body.named_children else None
        if first is not None and first.type == "expression_statement" and len(first.named_children) == 1:
            string = first.named_children[0]
            return self._span(string) if string.type == "string" else None
        return None

    def _comment_above(self, node: Node) -> Span | None:
        """The comments that end on the line above, with no blank line between."""
        first = last = None
        below = node
        while (above := below.prev_named_sibling) is not None and above.type in _LEADING:
            gap = self.text[self._chars(above.end_byte) : self._chars(below.start_byte)]
            own_line = self.text[: self._chars(above.start_byte)].rpartition("\n")[2].strip() == ""
            # The grammar of Rust counts the line feed to the comment.
            feeds = gap.count("\n") + (above.type in _COMMENTS and (above.text or b"").endswith(b"\n"))
            if feeds != 1 or not own_line or not self._documents(above):
                break
            if above.type in _COMMENTS:
                first, last = above, last or above
            below = above
        if first is None or last is None:
            return None
        start, end = self._chars(first.start_byte), self._chars(last.end_byte)
        return Span(start, start + len(self.text[start:end].rstrip()))

    def _documents(self, node: Node) -> bool:
        source = (node.text or b"").decode(errors="replace")
        directive = self.language == "go" and source.startswith("//go:")
        return node.type == "attribute_item" or (
            source.startswith(language_of(self.language).doc_starts) and not directive
        )

    def _span(self, node: Node) -> Span:
        return Span(self._chars(node.start_byte), self._chars(node.end_byte))


@lru_cache(maxsize=8)
def outline_of(text: str, language: str) -> Outline:
    """The symbols of a text; cached for the next call with the same text."""
    return Outline(text, language)


def syntax_errors(text: str, language: str) -> list[str]:
    """Syntax errors of a text: line numbers and the text there, at most five.

    Empty for a text without errors, and where there is no grammar.
    """
    tree = syntax_tree(language, text.encode())
    if tree is None or not tree.root_node.has_error:
        return []
    root = tree.root_node
    found: list[str] = []
    open_nodes = [root]
    while open_nodes and len(found) < 5:
        node = open_nodes.pop()
        line = node.start_point.row + 1
        if node.is_missing:
            found.append(f"line {line}: missing {node.type}")
        elif node.is_error:
            shown = (node.text or b"").decode(errors="replace").strip().partition("\n")[0][:60]
            found.append(f"line {line}: unexpected {shown!r}")
        else:
            open_nodes += [child for child in reversed(node.children) if child.has_error or child.is_missing]
    return found


def _outermost(symbols: tuple[Symbol, ...], wanted: Callable[[Symbol], bool]) -> Iterator[Symbol]:
    for symbol in symbols:
        if symbol.kind is not SymbolKind.CONTAINER and wanted(symbol):
            yield symbol
        else:
            yield from _outermost(symbol.children, wanted)


def _name(node: Node) -> str:
    """The name of a definition. C has it inside declarators, Go inside a specification."""
    while True:
        named = node.child_by_field_name("name") or node.child_by_field_name("type")
        declarator = node.child_by_field_name("declarator")
        if declarator is not None:
            node = declarator
        elif named is not None:
            return (named.text or b"").decode(errors="replace")
        elif node.type == "type_declaration" and node.named_children:
            node = node.named_children[0]
        else:
            is_name = "identifier" in node.type
            return (node.text or b"").decode(errors="replace") if is_name else ""


def _offsets(text: str, source: bytes) -> Callable[[int], int]:
    """A function that converts byte offsets to character offsets."""
    if len(text) == len(source):
        return lambda offset: offset
    starts: list[int] = []
    for number, character in enumerate(text):
        starts += [number] * len(character.encode())
    starts.append(len(text))
    return starts.__getitem__
