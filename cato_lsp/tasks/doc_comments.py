"""Writes the documentation of a symbol at the place and in the style of its language.

Python: a docstring, the body's first statement (PEP 257). JavaScript, TypeScript, Java, C and C++: a ``/** */`` comment
above (JSDoc, Javadoc, Doxygen). Go: ``//`` lines above that begin with the name (Go Doc Comments). Rust: ``///`` lines
above the attributes (the rustdoc book).
"""

from __future__ import annotations

import re
import textwrap

from cato_lsp.tasks.edit import Edit
from cato_lsp.tasks.indentation import Indentation, detect_indentation, leading_blanks
from cato_lsp.tasks.language import DocStyle
from cato_lsp.tasks.languages import language_of
from cato_lsp.tasks.symbols import Outline, Symbol

_WIDTH = 88
"""Columns."""
_NARROWEST = 30
"""Columns of prose that deeply nested code gets all the same."""


def has_convention(language: str) -> bool:
    """Whether documentation can be written in the language."""
    return language_of(language).doc_style is not None


def document(outline: Outline, symbol: Symbol, prose: str) -> Edit:
    """The edit that sets the documentation of ``symbol`` to ``prose``.

    :param prose: plain sentences; paragraphs are parted by blank lines.
    """
    text = outline.text
    newline = "\r\n" if "\r\n" in text else "\n"
    if language_of(outline.language).doc_style is DocStyle.DOCSTRING and symbol.body is not None:
        edit = _docstring(outline, symbol, prose)
    else:
        edit = _comment_above(outline, symbol, prose)
    return Edit(edit.start, edit.end, edit.text.replace("\n", newline))


def without_doc(outline: Outline, symbol: Symbol) -> str:
    """The symbol's source, dedented, without its documentation; lines end in a line feed."""
    start, end = symbol.span
    text, doc = outline.text, symbol.doc
    blanks = text[text.rfind("\n", 0, start) + 1 : start]
    source = text[start:end]
    if doc is not None and start <= doc.start:
        rest = text[doc.end : end]
        rest = rest.lstrip() if rest.strip() else "..."
        source = text[start : doc.start] + rest
    prefix = blanks if not blanks.strip() else ""
    return textwrap.dedent((prefix + source).replace("\r\n", "\n")).strip("\n")


def _docstring(outline: Outline, symbol: Symbol, prose: str) -> Edit:
    assert symbol.body is not None
    text, body = outline.text, symbol.body
    line_start = text.rfind("\n", 0, body.start) + 1
    before_body = text[line_start : body.start]
    if before_body.strip():  # the body is on the line of the head
        margin = leading_blanks(text[text.rfind("\n", 0, symbol.head) + 1 :]) + _style(outline).render(
            _style(outline).width
        )
    else:
        margin = before_body
    quoted = _quoted(prose, margin)
    if symbol.doc is not None:
        return Edit(symbol.doc.start, symbol.doc.end, quoted)
    if before_body.strip():
        start = line_start + len(before_body.rstrip())
        return Edit(start, body.start, f"\n{margin}{quoted}\n{margin}")
    return Edit(body.start, body.start, f"{quoted}\n{margin}")


def _quoted(prose: str, margin: str) -> str:
    safe = _printable(prose).replace("\\", "\\\\").replace('"""', "'''")
    width = _WIDTH - len(margin)
    lines = _wrapped(safe, width - len('"""'))
    if len(lines) == 1 and not lines[0].endswith('"') and len(lines[0]) + 2 * len('"""') <= max(width, _NARROWEST):
        return f'"""{lines[0]}"""'
    return "\n".join([f'"""{lines[0]}', *(f"{margin}{line}" if line else "" for line in lines[1:]), f'{margin}"""'])


def _comment_above(outline: Outline, symbol: Symbol, prose: str) -> Edit:
    text, language = outline.text, outline.language
    top = symbol.span.start if symbol.doc is None else symbol.doc.start
    line_start = text.rfind("\n", 0, top) + 1
    margin = leading_blanks(text[line_start:])
    mark = language_of(language).doc_mark
    if language == "go" and symbol.name and not prose.startswith(symbol.name):
        prose = f"{symbol.name} {_lowered(prose)}"
    lines = _wrapped(_printable(prose).replace("*/", "* /"), _WIDTH - len(margin) - 3)
    if mark:
        block = f"\n{margin}".join(f"{mark}{line}".rstrip() for line in lines)
    elif len(lines) == 1:
        block = f"/** {lines[0]} */"
    else:
        block = "\n".join(["/**", *(f"{margin} * {line}".rstrip() for line in lines), f"{margin} */"])
    if symbol.doc is not None:
        return Edit(symbol.doc.start, symbol.doc.end, block)
    if text[line_start : symbol.span.start].strip():  # other code is before it on its line
        return Edit(symbol.span.start, symbol.span.start, f"{block}\n{margin}")
    top = _above_attributes(text, line_start) if language == "rust" else line_start
    return Edit(top, top, f"{margin}{block}\n")


def _above_attributes(text: str, line_start: int) -> int:
    while line_start > 0:
        above = text.rfind("\n", 0, line_start - 1) + 1
        if not text[above:line_start].lstrip().startswith("#["):
            break
        line_start = above
    return line_start


def _style(outline: Outline) -> Indentation:
    language = language_of(outline.language)
    default = Indentation(tabs=language.tabs, width=language.indent_width)
    return detect_indentation(outline.text.splitlines(), default, language.opens_block)


def _wrapped(prose: str, width: int) -> list[str]:
    """Lines of at most ``width`` characters."""
    lines: list[str] = []
    for paragraph in re.split(r"\n\s*\n", prose.strip()):
        if lines:
            lines.append("")
        for line in paragraph.split("\n"):
            hanging = "  " if line.lstrip().startswith("- ") else ""
            lines += textwrap.wrap(
                line, max(width, _NARROWEST), subsequent_indent=hanging, break_long_words=False, break_on_hyphens=False
            )
    return lines or ["..."]


def _printable(text: str) -> str:
    """The text without control characters: removed after quoting, one could join the parts of a delimiter again."""
    return "".join(each for each in text if each.isprintable() or each in "\n\t")


def _lowered(prose: str) -> str:
    first = prose.partition(" ")[0]
    return prose if first[1:] != first[1:].lower() else prose[:1].lower() + prose[1:]
